//! Who may come in, as it may be written.

use crate::config::names::{AlbArn, ClaimName, ClientId, Issuer};
use crate::config::read::{Named, table};
use crate::model::Role;

table! {
    /// Who may come in, beside those with a token.
    RawAccess {
        /// People whom an Application Load Balancer has logged in.
        alb_oidc: RawAlbOidc,
    }
}

table! {
    /// A load balancer that is believed about who its users are.
    RawAlbOidc {
        /// ARN of the Application Load Balancer in front of Tidegate; no other is believed.
        #[schemars(required)]
        alb_arn: AlbArn,
        /// Issuer, as in the load balancer's authenticate action.
        #[schemars(required)]
        issuer: Issuer,
        /// Client id, as in the load balancer's authenticate action.
        #[schemars(required)]
        client_id: ClientId,
        /// Claim that lists a person's groups.
        claim: ClaimName,
        /// Role of each group: viewer, operator, releaser or admin. Of several the highest counts;
        /// whoever is in none of them may not even look.
        #[schemars(required)]
        roles: Named<Role>,
    }
}
