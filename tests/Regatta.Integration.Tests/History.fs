namespace Regatta.Integration.Tests

open System.Collections.Generic
open Regatta.Testing.Nodes

/// What a worker asked for. Keys belong to one worker each, and every value is written at most once.
type Change =
    /// One pair is a put, several are one transaction.
    | Write of (string * string) list
    /// Only of a key that exists as far as its worker knows.
    | Remove of string

type Outcome =
    | Acknowledged of revision: int64
    /// The reply says that nothing happened.
    | Refused of reason: string
    /// It happened once or not at all; the client cannot know.
    | Unknown of reason: string

/// One call of one worker. Times are ticks of one monotonic clock.
type Operation = { Change: Change; Begun: int64; Ended: int64; Outcome: Outcome }

/// Why the state after a crash is not one that the calls before it allow. One case for each kind of defect.
type Violation =
    | Lost of key: string * expected: Stored option * found: Stored option
    | Torn of pairs: (string * string) list
    | Uninvited of key: string * found: Stored
    | RevisionTwice of revision: int64
    | RevisionOutside of revision: int64 * from: int64 * upTo: int64
    | RevisionsMissing of expected: int64 * found: int64
    | OutOfOrder of earlier: int64 * later: int64
    | AfterUnknown of worker: int

/// What a round came to, when nothing is wrong with it.
type Round =
    {
        Acknowledged: int
        Refused: int
        Unknown: int
        UnknownButHappened: int
        /// The changes of those, with their revisions where the keys tell them.
        Happened: (Change * int64 option) list
        /// Calls of unknown outcome that have not happened so far: they may still be on their way.
        Open: Operation list
        State: TableState
    }

/// Compares what was acknowledged with what is there. The state before the round, each worker's calls in order, the state found after it:
/// every key must hold exactly what the acknowledged calls and those of the unknown ones that happened make of it, and the revisions of all of
/// them together must be the ones between the two states, each once. So a lost write, one applied twice, one half applied and one out of
/// order are all seen.
module History =
    let private apply revision change (keys: Map<string, Stored>) =
        let write keys (key, value) =
            let stored =
                match Map.tryFind key keys with
                | Some old when old.Modified = revision -> { old with Value = value }
                | Some old -> { old with Value = value; Modified = revision; Version = old.Version + 1L }
                | None -> { Value = value; Created = revision; Modified = revision; Version = 1L }

            Map.add key stored keys

        match change with
        | Write pairs -> List.fold write keys pairs
        | Remove key -> Map.remove key keys

    /// What became of a call with an unknown outcome: its revision where the keys tell it.
    type private Fate =
        | Happened of revision: int64 option
        | NeverHappened
        | HalfHappened

    let private fate (found: Map<string, Stored>) change =
        match change with
        | Remove key -> if Map.containsKey key found then NeverHappened else Happened None
        | Write pairs ->
            let seen =
                pairs |> List.choose (fun (key, value) -> Map.tryFind key found |> Option.filter (fun stored -> stored.Value = value))

            match seen with
            | [] -> NeverHappened
            | first :: rest when rest.Length + 1 = pairs.Length && rest |> List.forall (fun s -> s.Modified = first.Modified) ->
                Happened(Some first.Modified)
            | _ -> HalfHappened

    /// An operation that got its revision before one that had ended when it began, for writes in the order of their revisions.
    let private outOfOrder (writes: (int64 * Operation) list) =
        let latest = Array.ofList (List.sortBy fst writes)
        let violations = List()
        let mutable begun = (0L, System.Int64.MinValue)

        for revision, operation in latest do
            if operation.Ended < snd begun then violations.Add(OutOfOrder(fst begun, revision))

            if operation.Begun > snd begun then begun <- revision, operation.Begun

        List.ofSeq violations

    let private acknowledged (operations: Operation list) =
        operations
        |> List.choose (fun operation ->
            match operation.Outcome with
            | Acknowledged revision -> Some(revision, operation)
            | Refused _
            | Unknown _ -> None)

    let private unknown (operations: Operation list) = operations |> List.filter (fun operation -> operation.Outcome.IsUnknown)

    let private keysOf change =
        match change with
        | Write pairs -> List.map fst pairs
        | Remove key -> [ key ]

    /// A worker leaves keys alone whose last call has an unknown outcome: what comes after it could not be judged.
    let private afterUnknown worker (operations: Operation list) =
        let step (undecided, isBroken) operation =
            let keys = Set.ofList (keysOf operation.Change)
            let broken = isBroken || not (Set.isEmpty (Set.intersect undecided keys))
            (if operation.Outcome.IsUnknown then Set.union undecided keys else undecided), broken

        if snd (List.fold step (Set.empty, false) operations) then [ AfterUnknown worker ] else []

    let private revisions (before: TableState) (found: TableState) happened revisions =
        let outside = revisions |> List.filter (fun r -> r <= before.Revision || r > found.Revision)
        let twice = revisions |> List.countBy id |> List.filter (fun (_, count) -> count > 1)
        let expected = before.Revision + int64 happened

        List.concat
            [ outside |> List.map (fun revision -> RevisionOutside(revision, before.Revision + 1L, found.Revision))
              twice |> List.map (fst >> RevisionTwice)
              (if expected = found.Revision then [] else [ RevisionsMissing(expected, found.Revision) ]) ]

    let private differences (expected: Map<string, Stored>) (found: Map<string, Stored>) =
        let lost =
            expected
            |> Map.toList
            |> List.choose (fun (key, stored) ->
                match Map.tryFind key found with
                | Some same when same = stored -> None
                | other -> Some(Lost(key, Some stored, other)))

        let uninvited =
            found
            |> Map.toList
            |> List.choose (fun (key, stored) -> if Map.containsKey key expected then None else Some(Uninvited(key, stored)))

        lost @ uninvited

    /// Either what the round came to, or everything that is wrong with it. `opened`: the open calls of the round before, each of which may have
    /// happened since.
    let checkAfter
        (opened: Operation list)
        (before: TableState)
        (workers: Operation list list)
        (found: TableState)
        : Result<Round, Violation list> =
        let all = List.concat workers
        let acks = acknowledged all
        let fates = opened @ unknown all |> List.map (fun operation -> operation, fate found.Keys operation.Change)

        let torn =
            fates
            |> List.choose (fun (operation, fate) ->
                match operation.Change, fate with
                | Write pairs, HalfHappened -> Some(Torn pairs)
                | _ -> None)

        let happened =
            fates
            |> List.choose (fun (operation, fate) ->
                match fate with
                | Happened revision -> Some(operation.Change, revision)
                | NeverHappened
                | HalfHappened -> None)

        // Keys belong to one worker each, and an unknown call is the last of its keys: acknowledged ones first is the right order per key.
        let expected = List.fold (fun keys (revision, operation) -> apply revision operation.Change keys) before.Keys acks

        let expected =
            happened |> List.fold (fun keys (change, revision) -> apply (defaultArg revision found.Revision) change keys) expected

        let violations =
            List.concat
                [ List.concat (List.mapi afterUnknown workers)
                  torn
                  revisions before found (acks.Length + happened.Length) (List.map fst acks @ List.choose snd happened)
                  outOfOrder acks
                  differences expected found.Keys ]

        if violations.IsEmpty then
            Ok
                { Acknowledged = acks.Length
                  Refused = all |> List.filter _.Outcome.IsRefused |> List.length
                  Unknown = fates.Length - opened.Length
                  UnknownButHappened = happened.Length
                  Happened = happened
                  Open = fates |> List.filter (fun (_, fate) -> fate.IsNeverHappened) |> List.map fst
                  State = found }
        else
            Error violations

    /// As `checkAfter`, where nothing was open.
    let check before workers found = checkAfter [] before workers found
