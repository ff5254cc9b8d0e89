#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    coco_fuzz::daemon::config(data);
    coco_fuzz::manager::config(data);
});
