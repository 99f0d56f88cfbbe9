namespace Regatta.Spec

/// One thing that a command did, in the order in which it did it. Two puts of one key are two effects; a delete that removed nothing
/// is none. A delete stays a range, with the keys it removed, in order.
[<RequireQualifiedAccess>]
type Effect =
    | Put of Key * Entry
    | Delete of KeyRange * removed: Key list

/// The effects of the retained revisions: a record for each from `Oldest` to `Last`, which is the table's revision. When nothing is
/// retained, `Oldest` is one more than `Last`.
type Changelog = { Oldest: Revision; Last: Revision; Records: Map<Revision, Effect list> }

[<RequireQualifiedAccess>]
type ChangelogError =
    /// The revision is gone; the oldest one that is still there.
    | Compacted of oldest: Revision
    /// The revision is not there yet, nor is it the next; the last one that is there.
    | Ahead of last: Revision

[<RequireQualifiedAccess>]
type Event =
    | Put of KeyValue
    | Delete of Key

module Effect =
    /// The command that does the same when it is applied on the same state: what is sent to other sites.
    let toCommand effects =
        let put key (entry: Entry) : PutOp = { Key = key; Value = entry.Value; PrevKv = false }

        let toOp effect =
            match effect with
            | Effect.Put(key, entry) -> Op.Put(put key entry)
            | Effect.Delete(range, _) -> Op.Delete { Range = range; PrevKv = false; Count = false }

        match effects with
        | [] -> Command.Dummy
        | [ Effect.Put(key, entry) ] -> Command.Put(put key entry)
        | several -> Command.Txn { Compares = []; Success = List.map toOp several; Failure = [] }

    /// What a watcher of every key sees of one revision.
    let toEvents effects =
        let events effect =
            match effect with
            | Effect.Put(key, entry) -> [ Event.Put { Key = key; Entry = entry } ]
            | Effect.Delete(_, removed) -> List.map Event.Delete removed

        List.collect events effects

module Changelog =
    let empty = { Oldest = 1L; Last = 0L; Records = Map.empty }

    let add revision effects changelog =
        if revision <> changelog.Last + 1L then
            invalidArg (nameof revision) $"revision {revision} does not follow {changelog.Last}"

        { changelog with Last = revision; Records = Map.add revision effects changelog.Records }

    /// Forget what lies below `oldest`. Nothing comes back: a lower bound than before changes nothing, and the next revision to come is
    /// the highest bound there can be.
    let trim oldest changelog =
        let bound = oldest |> max changelog.Oldest |> min (changelog.Last + 1L)
        let without records revision = Map.remove revision records
        let kept = Seq.fold without changelog.Records (seq { changelog.Oldest .. bound - 1L })
        { changelog with Oldest = bound; Records = kept }

    /// The records from a revision on, in order. Asking for the next revision that will be there is an empty answer, not an error.
    let since from changelog =
        if from < changelog.Oldest then Error(ChangelogError.Compacted changelog.Oldest)
        elif from > changelog.Last + 1L then Error(ChangelogError.Ahead changelog.Last)
        else Ok [ for revision in from .. changelog.Last -> revision, changelog.Records[revision] ]

    /// What a watcher of a range sees from a revision on: every change once, in revision order, a revision's changes together.
    let watch range from changelog =
        let concerns event =
            match event with
            | Event.Put { Key = key }
            | Event.Delete key -> KeyRange.contains range key

        since from changelog
        |> Result.map (fun records ->
            [ for revision, effects in records do
                  match Effect.toEvents effects |> List.filter concerns with
                  | [] -> ()
                  | events -> revision, events ])
