//! Reads of Amazon ECR: what an image's name means.
//!
//! Rule: an image that does not exist is an answer; only what could not be asked is a gap.

use aws_sdk_ecr::config::Region;
use aws_sdk_ecr::types::ImageIdentifier;

use super::clients::Reads;
use super::failure::implausible;
use crate::model::*;

impl Reads {
    /// `DescribeImages` of one image in the Region and account that its name says. Other registries
    /// are not asked.
    pub(super) async fn image(&self, name: &ImageName) -> Result<ImageSeen, Gap> {
        const SOURCE: &str = "ecr:DescribeImages";
        let Some(EcrImage { account, region, repository, reference }) = name.ecr() else {
            return Ok(ImageSeen::NotAsked);
        };
        let id = ImageIdentifier::builder();
        let id = match &reference {
            Reference::Tag(tag) => id.image_tag(tag),
            Reference::Digest(digest) => id.image_digest(digest.as_str()),
        };
        let call = self.ecr.describe_images().registry_id(account).repository_name(repository);
        let call = call.image_ids(id.build()).customize();
        let there = aws_sdk_ecr::config::Builder::new().region(Region::new(region));
        match self.one(SOURCE, call.config_override(there).send()).await {
            Ok(answer) => {
                let digest = answer.image_details().first().and_then(|image| image.image_digest());
                match digest {
                    Some(digest) => Ok(ImageSeen::Found { digest: digest.into() }),
                    None => Err(implausible(SOURCE, format!("{name} has no digest"))),
                }
            }
            Err(Gap { failure: Failure::NotFound { .. }, .. }) => Ok(ImageSeen::Missing),
            Err(gap) => Err(gap),
        }
    }
}
