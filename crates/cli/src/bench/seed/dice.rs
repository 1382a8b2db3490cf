//! Randomness that is the same each time.

use uuid::Uuid;

/// Dice that fall the same way for the same number: SplitMix64 (Steele, Lea and Flood, OOPSLA 2014).
#[derive(Clone, Copy, Debug)]
pub(super) struct Dice(u64);

impl Dice {
    /// Dice for one thing of many.
    pub(super) const fn of(seed: u64, kind: u64, number: u64) -> Self {
        Self(mixed(mixed(seed ^ mixed(kind)) ^ number))
    }

    /// 64 random bits.
    pub(super) const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mixed(self.0)
    }

    /// A number below `bound`; each is as likely as the others, but for `bound` in 2⁶⁴.
    pub(super) const fn below(&mut self, bound: u64) -> u64 {
        ((self.next() as u128 * bound as u128) >> 64) as u64
    }

    /// A UUIDv7 (RFC 9562, section 5.7) of this millisecond.
    pub(super) const fn id(&mut self, unix_ms: u64) -> Uuid {
        let place = self.next() & 0x0fff;
        Uuid::from_u64_pair((unix_ms << 16) | 0x7000 | place, self.tail())
    }

    /// A UUIDv7 of the same millisecond, and place within it, as this one: what `onering.sibling_id` makes.
    pub(super) const fn sibling(&mut self, id: Uuid) -> Uuid {
        Uuid::from_u64_pair(id.as_u64_pair().0, self.tail())
    }

    const fn tail(&mut self) -> u64 {
        (1 << 63) | (self.next() >> 2)
    }
}

const fn mixed(bits: u64) -> u64 {
    let bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

#[cfg(test)]
mod tests {
    use onering_ids::EventId;

    use super::*;

    #[test]
    fn they_are_the_published_generator() {
        let mut dice = Dice(1_234_567);
        // From the test vectors that go round with the reference implementation.
        assert_eq!([dice.next(), dice.next()], [6_457_827_717_110_365_317, 3_203_168_211_198_807_973]);
    }

    #[test]
    fn every_face_comes_up() {
        let mut dice = Dice::of(1, 2, 3);
        let mut faces = [0_u32; 6];
        (0..6_000).for_each(|_| faces[dice.below(6) as usize] += 1);
        assert!(faces.iter().all(|count| (800..1_200).contains(count)), "{faces:?}");
        assert_ne!(Dice::of(1, 2, 3).next(), Dice::of(1, 3, 2).next());
    }

    #[test]
    fn ids_are_of_their_millisecond_and_siblings_of_their_place() {
        let mut dice = Dice::of(7, 0, 0);
        let id = dice.id(1_700_000_000_123);
        let sibling = dice.sibling(id);
        for one in [id, sibling] {
            assert_eq!((one.get_version_num(), one.get_variant()), (7, uuid::Variant::RFC4122));
            assert_eq!(EventId::from_uuid(one).unix_ms(), 1_700_000_000_123);
        }
        assert!(id != sibling && id.to_string()[..18] == sibling.to_string()[..18], "{id} {sibling}");
    }
}
