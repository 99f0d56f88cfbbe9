namespace Regatta.Spec

/// Why what clients have seen cannot have come from one table that does one thing after the other.
type Contradiction =
    /// Acknowledged, and the table has no such revision.
    | Lost of Observation
    | TwoAtOneRevision of Observation * Observation
    /// Acknowledged at this revision, at which the table did something else.
    | OtherEffects of Observation
    /// The table did something that nobody asked for, or once more than somebody did.
    | Uninvited of Revision
    /// The state of that revision gives another answer.
    | WrongAnswer of Observation * expected: Reply
    /// The changelog says of this revision what its commands cannot have done, or leaves out the one before.
    | Misrecorded of Revision
    /// A read of a revision that the table does not have.
    | NoSuchState of Observation
    /// One ended before the other began, and the revisions are the other way round.
    | OutOfOrder of earlier: Observation * later: Observation

/// Checks what clients have seen of a table against its changelog. Revisions witness the order in which things happened, so nothing is searched for: each revision is what one call did to the revision before, each answer
/// is that of its revision, and calls that did not overlap have their revisions in the order of time. To pass is a proof that the table was strictly serializable. O(n log n).
module Witness =
    let private effectsAt revision (state: State) = Map.find revision state.Changelog.Records

    /// What a command would have done next.
    let private effectsOf state command =
        let next, _ = Table.apply state command
        effectsAt next.Revision next

    let private place (states: State array) (revision: Revision) = int (revision - states[0].Revision)
    let private has states revision = let at = place states revision in at >= 0 && at < states.Length

    /// Each state from the first one on, as far as the records follow each other.
    let states (first: State) (records: (Revision * Effect list) list) =
        let consecutive =
            records |> Seq.indexed |> Seq.takeWhile (fun (at, (revision, _)) -> revision = first.Revision + int64 at + 1L)

        consecutive |> Seq.map snd |> Seq.scan Table.replay first |> Array.ofSeq

    let private answered calls = calls |> List.choose (fun call -> Observation.reply call |> Option.map (fun reply -> call, reply))
    let private isChange call = Observation.write call |> Option.exists Command.mutates

    /// What an acknowledged change must be: the step to its revision.
    let private step (states: State array) (call, reply: Reply) command =
        if not (has states reply.Revision) || reply.Revision = states[0].Revision then
            Some(Lost call)
        else
            let here = place states reply.Revision
            let before, after = states[here - 1], states[here]
            let next, expected = Table.apply before command

            if effectsAt next.Revision next <> effectsAt after.Revision after then Some(OtherEffects call)
            elif reply <> expected then Some(WrongAnswer(call, expected))
            else None

    let private look (states: State array) (call, reply: Reply) query =
        if not (has states reply.Revision) then
            Some(NoSuchState call)
        else
            let expected = Table.query states[place states reply.Revision] query
            if reply <> expected then Some(WrongAnswer(call, expected)) else None

    let private answers states (call, reply) =
        match call.Request with
        | Request.Write(Command.Txn txn) when Txn.isReadOnly txn -> look states (call, reply) (Query.Txn txn)
        | Request.Write command -> step states (call, reply) command
        | Request.Read query
        | Request.LocalRead query -> look states (call, reply) query

    let private misrecorded (states: State array) (records: (Revision * Effect list) list) =
        records
        |> List.filter (fun (revision, effects) -> not (has states revision) || effectsAt revision states[place states revision] <> effects)
        |> List.map (fst >> Misrecorded)

    let private twice (changes: (Observation * Reply) list) =
        changes
        |> List.groupBy (fun (_, reply) -> reply.Revision)
        |> List.choose (fun (_, calls) ->
            match calls with
            | (one, _) :: (other, _) :: _ -> Some(TwoAtOneRevision(one, other))
            | _ -> None)

    /// The values that a command puts, whichever way it goes.
    let private valuesOf command =
        let puts =
            List.choose (function
                | Op.Put put -> Some put.Value
                | Op.Delete _
                | Op.Range _ -> None)

        match command with
        | Command.Put put -> [ put.Value ]
        | Command.Txn txn -> puts txn.Success @ puts txn.Failure
        | Command.Delete _
        | Command.Dummy -> []

    /// The revisions that nobody was told of, less those that calls of unknown outcome account for: each did just that to the state before, and began before anybody could have seen it.
    /// Where they can stand for each other they change places until as many revisions as possible have one (Kuhn's matching).
    let private uninvited (states: State array) (known: (Observation * Reply) list) calls =
        let told = known |> List.filter (fst >> isChange) |> List.map (fun (_, reply) -> reply.Revision) |> Set.ofList

        let before =
            Observation.lastBefore snd (fun (call, _) -> call.Ended) (known |> List.map (fun (call, reply) -> call, reply.Revision))

        // Each with the greatest revision that was seen by a call that ended before it began.
        let candidates =
            [| for call in calls |> List.filter (fun call -> isChange call && call.Outcome = Outcome.Unknown) |> List.sortBy _.Began ->
                   Option.get (Observation.write call), before call.Began |> Option.map snd |> Option.defaultValue 0L |]

        // A value says who may have put it.
        let byValue =
            candidates
            |> Seq.indexed
            |> Seq.collect (fun (place, (command, _)) -> valuesOf command |> Seq.distinct |> Seq.map (fun value -> value, place))
            |> Seq.groupBy fst
            |> Seq.map (fun (value, places) -> value, places |> Seq.map snd |> List.ofSeq)
            |> Map.ofSeq

        let everyone = [ 0 .. candidates.Length - 1 ]

        let suitable (state: State) =
            let effects = effectsAt state.Revision state
            let previous = states[place states state.Revision - 1]

            let asked =
                match
                    effects
                    |> List.tryPick (function
                        | Effect.Put(_, entry) -> Some entry.Value
                        | Effect.Delete _ -> None)
                with
                | Some value -> Map.tryFind value byValue |> Option.defaultValue []
                | None -> everyone

            asked
            |> List.filter (fun place ->
                let command, seen = candidates[place] in seen < state.Revision && effectsOf previous command = effects)

        let untold = states[1..] |> Array.filter (fun state -> not (told.Contains state.Revision))
        let choices = untold |> Array.map suitable
        let takenBy = Array.create candidates.Length -1

        let rec finds (tried: System.Collections.Generic.HashSet<int>) revision =
            choices[revision]
            |> List.exists (fun candidate ->
                tried.Add candidate
                && (takenBy[candidate] < 0 || finds tried takenBy[candidate])
                && (takenBy[candidate] <- revision
                    true))

        [ for index in 0 .. untold.Length - 1 do
              if not (finds (System.Collections.Generic.HashSet()) index) then Uninvited untold[index].Revision ]

    let private order (known: (Observation * Reply) list) =
        let ended = known |> List.map (fun (call, reply) -> call, reply.Revision)

        let isLocal call =
            match call.Request with
            | Request.LocalRead _ -> true
            | _ -> false
        // Of a local read nothing is asked but that later calls do not fall behind it.
        let begun = ended |> List.filter (fst >> isLocal >> not) |> List.sortBy (fun (call, _) -> call.Began)
        let before = Observation.lastBefore snd (fun (call, _) -> call.Ended) ended

        begun
        |> List.choose (fun (call, revision) ->
            match before call.Began with
            | Some(earlier, seen) when seen > revision || (seen = revision && isChange call) -> Some(OutOfOrder(earlier, call))
            | _ -> None)

    /// The contradictions; none, and the history is strictly serializable.
    /// `first` is the table before all calls; the records are those of every revision since.
    let check (first: State) (records: (Revision * Effect list) list) (calls: Observation list) : Contradiction list =
        let states = states first records
        let known = answered calls
        let answersOf = List.choose (answers states) known

        twice (List.filter (fst >> isChange) known)
        @ misrecorded states records
        @ answersOf
        @ uninvited states known calls
        @ order known
