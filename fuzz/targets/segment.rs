#![no_main]

// Arrow panics at some bytes that are no stream of its own, and the checkpoint
// takes that as the error it is: only a panic that gets through is a crash.
libfuzzer_sys::fuzz_target!(
    init: std::panic::set_hook(Box::new(|_| {})),
    |input: &[u8]| turnstile::fuzzing::segment(input)
);
