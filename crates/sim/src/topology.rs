//! Topologies at random: every shape that a manifest can declare.

use atoll_core::RegionName;
use atoll_replication::topology::{Shape, Topology};

use crate::dice::Dice;

/// Any topology of these regions.
pub(crate) fn draw(regions: &[RegionName], dice: &mut Dice) -> Topology {
    let mut order = regions.to_vec();
    dice.shuffle(&mut order);
    let shape = match dice.below(4) {
        0 => Shape::AllToAll,
        1 => Shape::Ring { order },
        2 => Shape::Star {
            hub: order[0].clone(),
        },
        _ => Shape::Custom {
            links: custom(&order, dice),
        },
    };
    Topology::new(regions.to_vec(), shape).expect("everything reaches everyone")
}

/// A ring in some order, so that everything reaches everyone, and links at random besides.
fn custom(order: &[RegionName], dice: &mut Dice) -> Vec<(RegionName, RegionName)> {
    let next = order.iter().cycle().skip(1);
    let pairs = order.iter().cloned().zip(next.cloned());
    let mut links: Vec<_> = pairs.filter(|(from, to)| from != to).collect();
    for _ in 0..dice.index(2 * order.len()) {
        let link = (dice.pick(order).clone(), dice.pick(order).clone());
        if link.0 != link.1 && !links.contains(&link) {
            links.push(link);
        }
    }
    links
}
