//! Container images by name: repository with a tag or a digest, and what a registry says of them.
//!
//! Rule: a tag may move at any time; only a name with a digest means one image.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::id::{Digest, ImageName};

/// Where Amazon ECR keeps an image.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct EcrImage {
    /// The registry's id: the account it belongs to.
    pub account: String,
    pub region: String,
    pub repository: String,
    pub reference: Reference,
}

/// Which image of a repository.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reference {
    Tag(String),
    Digest(Digest),
}

/// What a registry says of an image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case", tag = "image")]
pub enum ImageSeen {
    Found {
        digest: Digest,
    },
    /// The repository or the image in it does not exist.
    Missing,
    /// A registry that is not asked: the name stands for itself if it carries a digest.
    NotAsked,
}

impl ImageName {
    /// Everything before the tag or digest.
    pub fn repository(&self) -> &str {
        let name = self.as_str();
        let name = name.split_once('@').map_or(name, |(name, _)| name);
        match name.rsplit_once(':') {
            // A colon before a slash belongs to the registry's port.
            Some((repository, tag)) if !tag.contains('/') => repository,
            _ => name,
        }
    }

    pub fn digest(&self) -> Option<Digest> {
        let (_, digest) = self.as_str().split_once('@')?;
        Some(Digest::from(digest))
    }

    /// The same image by this digest.
    #[must_use]
    pub fn pinned(&self, digest: &Digest) -> Self {
        Self::new(format!("{}@{digest}", self.repository()))
    }

    /// The tag; `latest` where neither tag nor digest is given, as Docker reads it.
    pub fn reference(&self) -> Reference {
        if let Some(digest) = self.digest() {
            return Reference::Digest(digest);
        }
        let rest = &self.as_str()[self.repository().len()..];
        let tag = rest.strip_prefix(':').filter(|tag| !tag.is_empty()).unwrap_or("latest");
        Reference::Tag(tag.to_owned())
    }

    /// `ACCOUNT.dkr.ecr.REGION.amazonaws.com[.cn]/REPOSITORY`, or nothing of another registry.
    pub fn ecr(&self) -> Option<EcrImage> {
        let (host, repository) = self.repository().split_once('/')?;
        let (account, rest) = host.split_once(".dkr.ecr.")?;
        let region =
            rest.strip_suffix(".amazonaws.com").or(rest.strip_suffix(".amazonaws.com.cn"))?;
        let of_account = account.len() == 12 && account.bytes().all(|b| b.is_ascii_digit());
        (of_account && !region.is_empty() && !repository.is_empty()).then(|| EcrImage {
            account: account.to_owned(),
            region: region.to_owned(),
            repository: repository.to_owned(),
            reference: self.reference(),
        })
    }

    /// Why it cannot be the name of an image, if so.
    pub fn fault(&self) -> Option<&'static str> {
        let name = self.as_str();
        if name.is_empty() || name.len() > 512 {
            return Some("an image's name has 1 to 512 characters");
        }
        if name.chars().any(|c| c.is_whitespace() || c.is_control()) {
            return Some("an image's name has no blanks");
        }
        if self.repository().is_empty() {
            return Some("the repository is missing");
        }
        let bad = |digest: &Digest| {
            let hex = digest.as_str().strip_prefix("sha256:").unwrap_or_default();
            hex.len() != 64 || !hex.bytes().all(|b| b.is_ascii_hexdigit())
        };
        let digest = self.digest().filter(bad);
        digest.map(|_| "a digest is `sha256:` and 64 hexadecimal digits")
    }
}

impl Digest {
    /// `sha256:` and the first twelve digits, enough to tell two apart on a screen.
    pub fn short(&self) -> &str {
        let end = self.as_str().find(':').map_or(12, |colon| colon + 13);
        self.as_str().get(..end).unwrap_or(self.as_str())
    }
}

impl ImageSeen {
    /// The digest that the name stands for, as far as anybody can say.
    pub fn digest_of(&self, name: &ImageName) -> Option<Digest> {
        match self {
            Self::Found { digest } => Some(digest.clone()),
            Self::Missing => None,
            Self::NotAsked => name.digest(),
        }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tag(tag) => f.write_str(tag),
            Self::Digest(digest) => digest.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(name: &str, repository: &str, reference: &str, ecr: Option<(&str, &str, &str)>) {
        let image = ImageName::from(name);
        assert_eq!(image.repository(), repository);
        assert_eq!(image.reference().to_string(), reference);
        let found = image.ecr();
        let found = found.as_ref().map(|f| (&*f.account, &*f.region, &*f.repository));
        assert_eq!(found, ecr, "{name}");
    }

    #[test]
    fn a_name_is_taken_apart_as_docker_does() {
        let digest = format!("sha256:{}", "a".repeat(64));
        check("web", "web", "latest", None);
        check("web:v2", "web", "v2", None);
        check("host:5000/web", "host:5000/web", "latest", None);
        check("host:5000/shop/web:v2", "host:5000/shop/web", "v2", None);
        check(&format!("web@{digest}"), "web", &digest, None);
        check(&format!("web:v2@{digest}"), "web", &digest, None);
        let ecr = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/shop/web";
        let parts = Some(("123456789012", "eu-west-1", "shop/web"));
        check(&format!("{ecr}:v2"), ecr, "v2", parts);
        check(&format!("{ecr}@{digest}"), ecr, &digest, parts);
        let china = "123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn/web";
        check(china, china, "latest", Some(("123456789012", "cn-north-1", "web")));
        check(
            "12.dkr.ecr.eu-west-1.amazonaws.com/web",
            "12.dkr.ecr.eu-west-1.amazonaws.com/web",
            "latest",
            None,
        );
    }

    #[test]
    fn what_is_no_image_is_told_apart() {
        assert_eq!(ImageName::from("web:v2").fault(), None);
        assert!(ImageName::from("").fault().is_some());
        assert!(ImageName::from("web v2").fault().is_some());
        assert!(ImageName::from("web@sha256:abc").fault().is_some());
    }
}
