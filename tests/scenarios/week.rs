//! Weeks of random load: limits hold, nothing is harmed, and when it is quiet the plan is empty.
