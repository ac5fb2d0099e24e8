//! Reservation over time as one drawing.

use crate::control::status::{ClusterStatus, Point};

pub(super) const WIDTH: f64 = 640.0;
pub(super) const HEIGHT: f64 = 150.0;
/// Left of the drawing, for the words of the axis.
pub(super) const AXIS_WIDTH: f64 = 64.0;
/// On the other sides, so that no line or word is cut.
pub(super) const MARGIN: f64 = 10.0;
/// Room above 100 %, so that a full fleet's line is not the frame.
const TOP_PERCENT: f64 = 110.0;

/// Paths and heights in the drawing's own units.
pub(super) struct Chart {
    pub(super) cpu: String,
    pub(super) memory: String,
    pub(super) cpu_ceiling: Option<f64>,
    pub(super) memory_ceiling: Option<f64>,
    /// Heights of 50 and 100 %.
    pub(super) half: f64,
    pub(super) full: f64,
    /// `07:00 to 09:00`.
    pub(super) span: String,
    /// The newest last, for the table.
    pub(super) last: Vec<Point>,
}

impl Chart {
    pub(super) fn of(cluster: &ClusterStatus) -> Self {
        let points = &cluster.history;
        let ceiling = |percent: u64| {
            // 100 turns the ceiling off.
            let percent = u32::try_from(percent).ok().filter(|percent| *percent < 100);
            percent.map(|percent| y(percent.into()))
        };
        let clock = |point: Option<&Point>| {
            point.map_or(String::new(), |point| point.at.format("%H:%M").to_string())
        };
        Self {
            cpu: path(points, |point| point.cpu_percent),
            memory: path(points, |point| point.memory_percent),
            cpu_ceiling: ceiling(cluster.reservation.cpu_ceiling_percent),
            memory_ceiling: ceiling(cluster.reservation.memory_ceiling_percent),
            half: y(50.0),
            full: y(100.0),
            span: format!("{} to {} UTC", clock(points.first()), clock(points.last())),
            last: points[points.len().saturating_sub(12)..].to_vec(),
        }
    }
}

/// One line for each stretch without a gap.
fn path(points: &[Point], percent: impl Fn(&Point) -> Option<f64>) -> String {
    let (Some(first), Some(last)) = (points.first(), points.last()) else {
        return String::new();
    };
    let seconds =
        |point: &Point| f64::from(u32::try_from((point.at - first.at).num_seconds()).unwrap_or(0));
    let span = seconds(last).max(1.0);
    let mut path = String::new();
    let mut draws = false;
    for point in points {
        match percent(point) {
            Some(percent) => {
                let step = if draws { 'L' } else { 'M' };
                let x = seconds(point) / span * WIDTH;
                path += &format!("{step}{x:.1} {:.1}", y(percent));
                draws = true;
            }
            None => draws = false,
        }
    }
    path
}

fn y(percent: f64) -> f64 {
    HEIGHT * (1.0 - percent.clamp(0.0, TOP_PERCENT) / TOP_PERCENT)
}
