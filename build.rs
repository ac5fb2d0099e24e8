//! Tells the linker how the program that is shipped is linked; nothing is made.
//!
//! Rule: what is tested every day is linked as Cargo does it.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let told = |name| std::env::var(name).unwrap_or_default();
    // Else a tenth of the file lists addresses to adjust. The C library reads them packed since
    // 2.36 (glibc release notes).
    if told("PROFILE") == "release" && told("CARGO_CFG_TARGET_ENV") == "gnu" {
        println!("cargo:rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    }
}
