"""A whole data set, brought to a folder in chunks: without a hole, and without a row twice.

1. *Plan.* One question says how many rows there are and when the newest changed. That moment, and not the
   newest row that comes later, is where the next import goes on: whatever changes while pages are read
   changed after it, and comes then. Where a page came from a replica that was further behind, the next import
   goes on from there: it did not show what changed since.
2. *Pages.* Rows in the order of their ``:id``, each page from where the last one ended, never by a deep
   offset. A row is not moved by what others do, so none slips over a page's edge.
3. *Overlap.* A row may become visible with a moment that others were read past already. So an import goes
   back behind its watermark by an hour, and knows the rows of that hour, and of a day before it, by their
   version: in Redis, the newest :data:`tasks.importing.desk.MOST_REMEMBERED` of them, whichever import
   brought them. Where all rows changed in one go, more may lie there: those come again, and the manifest
   says how many may. However long the overlap is, no import goes back behind what is remembered.
4. *Chunks.* A chunk's file is whole and read back before Redis hears of it. Killed in between, the chunk is
   made again, under the same name where it holds the same. What counts is what the manifest names.
5. *End.* One step in Redis makes the import count, moves the watermark and owes the manifest. Whoever comes
   next into the sink writes a manifest that is still owed before it begins. Of two that went on from the same
   watermark the second to end finds so in that step, and does not count: however it came about, no row is
   named by two manifests.
6. *Runs.* Each run takes the import over from the one before; a worker that stood still and comes back can
   write nothing into it any more. A run ends itself after a while, and the import stands in line again.

Rows that are deleted at the source are in no answer: a whole import, with ``since`` at the beginning, finds
them by what it no longer has.
"""
