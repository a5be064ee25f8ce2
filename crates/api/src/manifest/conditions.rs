//! Conditions and their reasons. Both are API: people wait on the one and alert on the other.
//!
//! Ready, Reconciling and Stalled follow kstatus: Ready is true only when nothing is in progress, and the
//! other two are there only while they are true. The rest say one thing each, true when all is well, except
//! that `Unknown` means that whoever could tell does not answer.

/// Names of conditions.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$word_doc:meta])* $word:ident,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[$word_doc])* $word,)* }

        impl $name {
            /// All of them, in the order to show them.
            pub const ALL: &'static [$name] = &[$($name::$word,)*];

            /// As it is written in a status.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $($name::$word => stringify!($word),)* }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

words! {
    /// What a condition is about.
    ConditionKind {
        /// Everything is as declared, and nothing is in progress.
        Ready,
        /// Something is being changed; there only while it is.
        Reconciling,
        /// Nothing more will happen before somebody does what the message says; there only while so.
        Stalled,
        /// Every region of this cluster takes requests. Never depends on another cluster's regions.
        Available,
        /// All that any region has is in every region.
        Converged,
        /// There is a way between all regions.
        TopologyConnected,
        /// And there would be with any one of the links lost.
        TopologyRedundant,
        /// A clock is off by more than `maxClockSkew`, so that its region takes no writes: true is bad.
        ClockSkew,
        /// The regions of other clusters were declared as here.
        SpecAgreed,
        /// Certificates are valid, and renewed in time.
        CertificatesValid,
        /// Volumes are bound, and as large as declared.
        StorageHealthy,
    }
}

words! {
    /// Why a condition is as it is.
    ConditionReason {
        /// All is as it should be.
        AsDeclared,
        /// Objects are being made or changed.
        Applying,
        /// Regions that the store begins with elect their first leaders.
        Forming,
        /// A region takes in what the others have.
        RegionJoining,
        /// A region hands over what it wrote.
        RegionDraining,
        /// A region cannot leave: nobody else has all that it wrote.
        RegionHoldsData,
        /// Nodes are being added to a region, or removed.
        ScalingRegion,
        /// Nodes are being restarted, one by one.
        RollingUpdate,
        /// Changes of running nodes wait, because `updateStrategy.paused` is set.
        UpdatesPaused,
        /// The topology is being changed.
        ChangingTopology,
        /// Collections are being declared to the regions.
        DeclaringCollections,
        /// Nodes are not ready.
        NodesNotReady,
        /// A region does not answer.
        RegionUnreachable,
        /// A next step waits until the regions have converged.
        WaitingForConvergence,
        /// What is declared makes no sense as a whole.
        InvalidSpec,
        /// The object could not be read at all.
        Unreadable,
        /// An object of a name that is needed belongs to somebody else.
        NameTaken,
        /// The API server refuses an object.
        Refused,
        /// Something failed for now, and is tried again.
        TryingAgain,
        /// There is no GeoStore of that name.
        StoreNotFound,
        /// The store has other regions that lack something still.
        Behind,
        /// All regions have the same entries.
        InStep,
        /// Every region hears of every other.
        Connected,
        /// For some link there is no other way.
        NoSecondWay,
        /// There would be a way with any one of the links lost.
        SecondWay,
        /// Some regions do not hear of others.
        Partitioned,
        /// Clocks agree.
        ClocksAgree,
        /// A clock is too far off.
        ClockOff,
        /// The store has one cluster.
        OneCluster,
        /// Another cluster has other regions or another topology.
        SpecsDiffer,
        /// Nodes talk without TLS.
        NoTls,
        /// Certificates are being made.
        Issuing,
        /// Certificates are valid, and renewed in time.
        Issued,
        /// A new CA takes the place of the old one.
        ChangingCa,
        /// A CA, or a bundle of CAs, that a Secret is to hold cannot be used.
        CaNotUsable,
        /// A node does not use its certificates as they are now.
        NotTaken,
        /// Volumes are there.
        VolumesBound,
        /// Volumes are not there yet.
        VolumesPending,
        /// Volumes are growing.
        VolumesGrowing,
        /// The storage class lets no volume grow.
        CannotGrow,
        /// The link carries entries as they are written.
        Streaming,
        /// The link fetches what was missed.
        CatchingUp,
        /// The link is not carrying anything.
        Interrupted,
        /// An administrator paused the link.
        Paused,
        /// The link stands by.
        StandingBy,
        /// The store is being deleted.
        Deleting,
        /// Nobody can tell now.
        NotKnown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_of_them_are_explained() {
        let page = include_str!("../../../../docs/operator.md");
        let kinds = ConditionKind::ALL.iter().map(|kind| kind.as_str());
        let reasons = ConditionReason::ALL.iter().map(|reason| reason.as_str());
        for word in kinds.chain(reasons) {
            assert!(page.contains(&format!("| `{word}` |")), "{word}");
        }
    }

    #[test]
    fn words_are_what_the_api_server_takes() {
        let kinds = ConditionKind::ALL.iter().map(|kind| kind.as_str());
        let reasons = ConditionReason::ALL.iter().map(|reason| reason.as_str());
        for word in kinds.chain(reasons) {
            let is_camel_case = word.starts_with(|c: char| c.is_ascii_uppercase())
                && word.chars().all(|c| c.is_ascii_alphanumeric());
            assert!(is_camel_case && word.len() <= 64, "{word}");
        }
    }
}
