//! All profiles of a store, in pieces that several processors work on at the same time.

use super::error::Error;
use super::listing::{Listing, PART, processors};
use super::summary::Summary;
use std::mem;
use std::thread;

/// The number of profiles in a piece, where one thread makes all pieces.
const PROFILES: usize = 1000;

/// The choice of profiles.
#[derive(Debug)]
pub struct Selection<A> {
    /// How the id of the oldest recording may begin.
    pub since: Option<String>,
    /// The greatest number of profiles.
    pub limit: Option<usize>,
    /// Says of a summary if the profile is wanted.
    pub accept: A,
}

impl Listing {
    /// Calls `work` with each readable profile that is chosen, newest first within a piece, and `done` with what came of each piece, newest first.
    ///
    /// # Errors
    /// [`Error::File`]: the index cannot be read; and those of `done`.
    pub fn in_pieces<T: Default + Send, E: From<Error>>(
        &self,
        selection: &Selection<impl Fn(&Summary) -> bool + Sync>,
        work: impl Fn(&mut T, &Summary) + Sync,
        done: impl FnMut(T) -> Result<(), E>,
    ) -> Result<(), E> {
        self.in_pieces_of(PART, selection, work, done)
    }

    /// The same, with the size of a piece in bytes of the index.
    pub(super) fn in_pieces_of<T: Default + Send, E: From<Error>>(
        &self,
        size: u64,
        selection: &Selection<impl Fn(&Summary) -> bool + Sync>,
        work: impl Fn(&mut T, &Summary) + Sync,
        mut done: impl FnMut(T) -> Result<(), E>,
    ) -> Result<(), E> {
        let since = selection.since.as_deref();
        if selection.limit.is_some() || !self.is_all_of_index() {
            let (mut piece, mut count) = (T::default(), 0_usize);
            self.each(since, selection.limit, &selection.accept, |summary| {
                work(&mut piece, &summary);
                count += 1;
                match count.is_multiple_of(PROFILES) {
                    true => done(mem::take(&mut piece)),
                    false => Ok(()),
                }
            })?;
            return done(piece);
        }
        let piece = |begin: u64| -> Result<T, Error> {
            let mut piece = T::default();
            let mut rows = self.rows_of_part(begin..=begin + size);
            while let Some(listed) = rows.next()? {
                if let Some((summary, _)) = listed.summary()
                    && since.is_none_or(|since| summary.recording_id.as_str() >= since)
                    && (selection.accept)(&summary)
                {
                    work(&mut piece, &summary);
                }
            }
            Ok(piece)
        };
        let begins: Vec<u64> = (0..)
            .map(|number| number * size)
            .take_while(|begin| *begin < self.length())
            .collect();
        // No more pieces than processors are in memory.
        for begins in begins.chunks(usize::try_from(processors()).unwrap_or(1)) {
            let pieces: Vec<_> = thread::scope(|scope| {
                let threads = begins.iter().map(|begin| scope.spawn(|| piece(*begin)));
                let threads: Vec<_> = threads.collect();
                let ends = threads.into_iter().map(thread::ScopedJoinHandle::join);
                ends.map(|end| end.unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
                    .collect()
            });
            for piece in pieces {
                done(piece?)?;
            }
        }
        Ok(())
    }
}
