//! The target `directory` for libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(init: fuzz::quiet(), |data: &[u8]| fuzz::directory::run(data));
