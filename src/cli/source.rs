//! Where a configuration comes from: a file, an object of S3, or a parameter of SSM.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// As it is named on the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Source {
    File(PathBuf),
    /// `s3://BUCKET/KEY`.
    Object {
        bucket: String,
        key: String,
    },
    /// `ssm:NAME`.
    Parameter(String),
}

impl FromStr for Source {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(rest) = text.strip_prefix("s3://") {
            let parts = rest.split_once('/').filter(|(bucket, key)| {
                let plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-".contains(&byte);
                !bucket.is_empty() && bucket.bytes().all(plain) && !key.is_empty()
            });
            let (bucket, key) =
                parts.ok_or_else(|| format!("`{text}` is no object: write s3://BUCKET/KEY"))?;
            return Ok(Self::Object { bucket: bucket.to_owned(), key: key.to_owned() });
        }
        match text.strip_prefix("ssm:") {
            Some("") => Err("no parameter is named: write ssm:NAME".to_owned()),
            Some(name) => Ok(Self::Parameter(name.to_owned())),
            None => Ok(Self::File(PathBuf::from(text))),
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(file) => file.display().fmt(f),
            Self::Object { bucket, key } => write!(f, "s3://{bucket}/{key}"),
            Self::Parameter(name) => write!(f, "ssm:{name}"),
        }
    }
}

impl Source {
    /// Its text as it is now.
    ///
    /// # Errors
    /// Why it cannot be read, without its name.
    pub(super) async fn text(&self) -> Result<String, String> {
        #[cfg(feature = "aws")]
        use crate::aws::Settings;
        match self {
            Self::File(file) => std::fs::read_to_string(file).map_err(|error| error.to_string()),
            #[cfg(feature = "aws")]
            Self::Object { bucket, key } => {
                let (bucket, key) = (bucket.clone(), key.clone());
                Settings::Object { bucket, key }.read().await
            }
            #[cfg(feature = "aws")]
            Self::Parameter(name) => Settings::Parameter { name: name.clone() }.read().await,
            #[cfg(not(feature = "aws"))]
            _ => Err("this build has no AWS SDK".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_told_by_how_it_begins() {
        for text in ["tidegate.yaml", "./s3/x", "s3://conf/prod/tidegate.yaml", "ssm:/tidegate/c"] {
            assert_eq!(text.parse::<Source>().unwrap().to_string(), text);
        }
        let file = Source::File("ssm/x".into());
        assert_eq!("ssm/x".parse(), Ok(file));
        for wrong in ["s3://", "s3://bucket", "s3://bucket/", "s3:///key", "s3://a?b/c", "ssm:"] {
            assert!(wrong.parse::<Source>().is_err(), "{wrong}");
        }
    }
}
