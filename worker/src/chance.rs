//! Chance: the worker's one source of randomness, and the two things drawn from it: the order of queues and pauses.
//!
//! Seeded, so that a test draws the same numbers each time; unpredictability is not needed anywhere here.

use std::time::Duration;

/// A small generator of well-spread numbers (SplitMix64).
#[derive(Clone, Debug)]
pub(crate) struct Chance(u64);

impl Chance {
    /// The same seed gives the same numbers.
    pub(crate) const fn seeded(seed: u64) -> Self {
        Self(seed)
    }

    /// A seed from the operating system.
    pub(crate) fn from_system() -> Self {
        Self(u64::from_le_bytes(queue_core::random::bytes()))
    }

    /// Any number.
    pub(crate) const fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A fraction above 0 and at most 1.
    fn fraction(&mut self) -> f64 {
        ((self.number() >> 11) + 1) as f64 / (1u64 << 53) as f64
    }
}

/// Draws an order of queues by weight, without replacement: a queue of weight 5 stands before one of weight 1 in five
/// calls of six.
///
/// Each queue gets the arrival time of a process as fast as its weight; the order of arrivals is the order drawn.
pub(crate) fn draw_order(queues: &[(String, u32)], chance: &mut Chance) -> Vec<String> {
    if let [(only, _)] = queues {
        return vec![only.clone()];
    }
    let mut arrivals: Vec<(f64, &str)> =
        queues.iter().map(|(queue, weight)| (-chance.fraction().ln() / f64::from(*weight), queue.as_str())).collect();
    arrivals.sort_by(|a, b| a.0.total_cmp(&b.0));
    arrivals.into_iter().map(|(_, queue)| queue.to_owned()).collect()
}

/// Growing pauses between tries: doubling from 100 ms to 5 s, each spread over its upper half, so that many workers
/// do not return in step.
#[derive(Debug, Default)]
pub(crate) struct Pauses {
    tries: u32,
}

impl Pauses {
    const FIRST_MS: u64 = 100;
    const LONGEST_MS: u64 = 5_000;

    /// The pause before the next try.
    pub(crate) fn next(&mut self, chance: &mut Chance) -> Duration {
        let whole = (Self::FIRST_MS << self.tries.min(16)).min(Self::LONGEST_MS);
        self.tries += 1;
        Duration::from_millis(whole / 2 + chance.number() % (whole / 2 + 1))
    }

    /// Whether nothing failed since it last worked.
    pub(crate) const fn is_first(&self) -> bool {
        self.tries == 0
    }

    /// It worked: the next failure begins anew.
    pub(crate) const fn reset(&mut self) {
        self.tries = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queues(weights: &[u32]) -> Vec<(String, u32)> {
        weights.iter().enumerate().map(|(index, &weight)| (format!("q{index}"), weight)).collect()
    }

    #[test]
    fn a_queue_comes_first_as_often_as_its_weight_says() {
        let (queues, mut chance) = (queues(&[5, 3, 1, 1]), Chance::seeded(7));
        let mut first = [0u32; 4];
        for _ in 0..20_000 {
            let order = draw_order(&queues, &mut chance);
            first[usize::from(order[0].as_bytes()[1] - b'0')] += 1;
        }
        for (got, share) in first.into_iter().zip([0.5, 0.3, 0.1, 0.1]) {
            assert!((f64::from(got) / 20_000.0 - share).abs() < 0.015, "{first:?}");
        }
    }

    #[test]
    fn after_the_first_the_rest_is_drawn_by_weight_too() {
        let (queues, mut chance) = (queues(&[6, 3, 1]), Chance::seeded(11));
        let orders: Vec<_> = (0..30_000).map(|_| draw_order(&queues, &mut chance)).collect();
        let after_first: Vec<_> = orders.iter().filter(|order| order[0] == "q0").collect();
        let second = after_first.iter().filter(|order| order[1] == "q1").count();
        let share = second as f64 / after_first.len() as f64;
        assert!((share - 0.75).abs() < 0.015, "{share}");
    }

    #[test]
    fn an_order_names_each_queue_once() {
        let mut order = draw_order(&queues(&[1; 50]), &mut Chance::seeded(3));
        order.sort();
        order.dedup();
        assert_eq!(order.len(), 50);
    }

    #[test]
    fn one_seed_gives_one_sequence() {
        let draw = |seed| draw_order(&queues(&[1; 9]), &mut Chance::seeded(seed));
        assert_eq!(draw(5), draw(5));
        assert_ne!(draw(5), draw(6));
    }

    #[test]
    fn pauses_grow_to_a_bound_and_begin_anew() {
        let (mut pauses, mut chance) = (Pauses::default(), Chance::seeded(1));
        for whole in [100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000] {
            let pause = pauses.next(&mut chance).as_millis();
            assert!((whole / 2..=whole).contains(&pause), "{pause} of {whole}");
        }
        pauses.reset();
        assert!(pauses.next(&mut chance).as_millis() <= 100);
    }
}
