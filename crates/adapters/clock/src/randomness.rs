//! Random numbers: from the operating system for secrets, from the thread's generator for the rest.

use rand::TryRng;
use rand::rngs::SysRng;

/// 32 bytes from the operating system.
#[expect(
    clippy::expect_used,
    reason = "a machine that cannot give random bytes must not issue keys; there is nothing to fall back to"
)]
pub(crate) fn entropy32() -> [u8; 32] {
    let mut bytes = [0; 32];
    SysRng.try_fill_bytes(&mut bytes).expect("the operating system gives random bytes");
    bytes
}

/// 8 bytes for the random part of an id.
pub(crate) fn eight_bytes() -> [u8; 8] {
    rand::random()
}

/// 32 bytes for ids that are nothing but random.
pub(crate) fn noise32() -> [u8; 32] {
    rand::random()
}

/// Uniform in `[0, 1)`.
pub(crate) fn unit_interval() -> f64 {
    rand::random()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entropy_differs_each_time() {
        assert_ne!(entropy32(), entropy32());
        assert_ne!(entropy32(), [0; 32]);
    }

    #[test]
    fn noise_differs_each_time() {
        assert_ne!(noise32(), noise32());
    }

    #[test]
    fn jitter_stays_in_its_interval() {
        assert!((0..10_000).all(|_| (0.0..1.0).contains(&unit_interval())));
    }
}
