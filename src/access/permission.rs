//! What each route needs.
//!
//! Rule: one table, and what is not in it is refused.

use crate::model::{CutoverOrder, Mode, Order, ReleaseOrder, Role};

/// What somebody wants to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::Display, strum::EnumIter)]
#[strum(serialize_all = "snake_case")]
pub enum Permission {
    /// Ask whether the server lives, which tells nothing.
    Probe,
    /// Look.
    Read,
    /// Look at who did what.
    ReadRecord,
    /// Make less happen.
    Stop,
    /// Make more happen.
    Start,
    /// Say who may do what.
    Grant,
}

impl Permission {
    /// The least role that has it; `None`: nobody need say who they are.
    pub fn role(self) -> Option<Role> {
        match self {
            Self::Probe => None,
            Self::Read => Some(Role::Viewer),
            Self::ReadRecord | Self::Stop => Some(Role::Operator),
            Self::Start => Some(Role::Releaser),
            Self::Grant => Some(Role::Admin),
        }
    }

    /// What an order needs of a cluster whose stored mode is this.
    pub fn of(order: &Order, stored: Mode) -> Self {
        use CutoverOrder::{Abort, Pause, Rollback};
        match order {
            Order::Pause
            | Order::Cutover { steer: Pause | Abort | Rollback { .. }, .. }
            | Order::Release { steer: ReleaseOrder::Abort, .. } => Self::Stop,
            Order::SetMode { mode } if *mode <= stored => Self::Stop,
            Order::SetMode { .. }
            | Order::Resume { .. }
            | Order::Handover { .. }
            | Order::Handback { .. }
            | Order::Cutover { .. }
            | Order::Release { .. } => Self::Start,
        }
    }

    /// Stopping waits for nothing, not even for a record that cannot be written.
    pub fn waits_for_the_record(self) -> bool {
        self != Self::Stop
    }
}

/// Method, path and what it needs. `{name}` stands for any one part of a path.
///
/// Setting a mode needs `Stop` here; a higher one needs `Start`, which only the cluster's stored
/// mode can tell ([`Permission::of`]).
pub const TABLE: &[(&str, &str, Permission)] = &[
    ("GET", "/healthz", Permission::Probe),
    ("GET", "/livez", Permission::Probe),
    ("GET", "/readyz", Permission::Probe),
    ("GET", "/metrics", Permission::Read),
    ("GET", "/", Permission::Read),
    ("GET", "/clusters/{name}", Permission::Read),
    ("GET", "/clusters/{name}/fragment", Permission::Read),
    ("GET", "/assets/{file}", Permission::Read),
    ("GET", "/audit", Permission::ReadRecord),
    ("GET", "/api/v1/openapi.json", Permission::Read),
    ("GET", "/api/v1/stream", Permission::Read),
    ("GET", "/api/v1/clusters", Permission::Read),
    ("GET", "/api/v1/clusters/{name}", Permission::Read),
    ("GET", "/api/v1/clusters/{name}/plan", Permission::Read),
    ("GET", "/api/v1/clusters/{name}/decisions", Permission::Read),
    ("GET", "/api/v1/clusters/{name}/decisions/{id}", Permission::Read),
    ("POST", "/api/v1/clusters/{name}/mode", Permission::Stop),
    ("POST", "/api/v1/clusters/{name}/pause", Permission::Stop),
    ("POST", "/api/v1/clusters/{name}/resume", Permission::Start),
    ("POST", "/api/v1/clusters/{name}/handover", Permission::Start),
    ("POST", "/api/v1/clusters/{name}/handback", Permission::Start),
    ("GET", "/api/v1/clusters/{name}/cutovers", Permission::Read),
    ("GET", "/api/v1/clusters/{name}/cutovers/{cutover}", Permission::Read),
    ("GET", "/api/v1/clusters/{name}/cutovers/{cutover}/history", Permission::Read),
    ("POST", "/api/v1/clusters/{name}/cutovers/{cutover}/start", Permission::Start),
    ("POST", "/api/v1/clusters/{name}/cutovers/{cutover}/pause", Permission::Stop),
    ("POST", "/api/v1/clusters/{name}/cutovers/{cutover}/resume", Permission::Start),
    ("POST", "/api/v1/clusters/{name}/cutovers/{cutover}/promote", Permission::Start),
    ("POST", "/api/v1/clusters/{name}/cutovers/{cutover}/abort", Permission::Stop),
    ("POST", "/api/v1/clusters/{name}/cutovers/{cutover}/rollback", Permission::Stop),
    ("POST", "/api/v1/clusters/{name}/cutovers/{cutover}/finalize", Permission::Start),
    ("POST", "/api/v1/clusters/{name}/cutovers/{cutover}/undo", Permission::Start),
    ("GET", "/api/v1/clusters/{name}/releases", Permission::Read),
    ("GET", "/api/v1/clusters/{name}/releases/{service}", Permission::Read),
    ("POST", "/api/v1/clusters/{name}/releases/{service}", Permission::Start),
    ("POST", "/api/v1/clusters/{name}/releases/{service}/abort", Permission::Stop),
    ("GET", "/api/v1/audit", Permission::ReadRecord),
    ("GET", "/api/v1/audit/verify", Permission::ReadRecord),
    ("GET", "/api/v1/tokens", Permission::Grant),
    ("POST", "/api/v1/tokens", Permission::Grant),
    ("POST", "/api/v1/tokens/{token}/revoke", Permission::Grant),
];

/// What the table says of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    Permission(Permission),
    /// The path takes other methods.
    NoMethod,
    NoRoute,
}

/// Looks a request up; HEAD asks for what GET does.
pub fn find(method: &str, path: &str) -> Found {
    let method = if method == "HEAD" { "GET" } else { method };
    let mut found = Found::NoRoute;
    for (of, template, permission) in TABLE {
        if fits(template, path) {
            if *of == method {
                return Found::Permission(*permission);
            }
            found = Found::NoMethod;
        }
    }
    found
}

fn fits(template: &str, path: &str) -> bool {
    let (mut wanted, mut given) = (template.split('/'), path.split('/'));
    loop {
        match (wanted.next(), given.next()) {
            (None, None) => return true,
            (Some(wanted), Some(given)) => {
                let any = wanted.starts_with('{') && !given.is_empty();
                if !any && wanted != given {
                    return false;
                }
            }
            _ => return false,
        }
    }
}
