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

    /// Each state from the first one on.
    let states first records = List.scan Table.replay first records |> Array.ofList

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

    let private twice (changes: (Observation * Reply) list) =
        changes
        |> List.groupBy (fun (_, reply) -> reply.Revision)
        |> List.choose (fun (_, calls) ->
            match calls with
            | (one, _) :: (other, _) :: _ -> Some(TwoAtOneRevision(one, other))
            | _ -> None)

    /// The revisions that nobody was told of, each with a call of unknown outcome that did just that. Of several the one that began first: it is the least bound by time. So a history in which calls of unknown
    /// outcome could stand for each other may be refused although another assignment would do; values that are written once leave nothing to choose.
    let private attribute (states: State array) changes calls =
        let told = changes |> List.map (fun (_, reply: Reply) -> reply.Revision) |> Set.ofList
        let candidates = calls |> List.filter (fun call -> isChange call && call.Outcome = Outcome.Unknown) |> List.sortBy _.Began
        let untold = states[1..] |> Array.filter (fun state -> not (told.Contains state.Revision)) |> List.ofArray

        let assign (open', found, strange) (state: State) =
            let before = states[place states state.Revision - 1]
            let effects = effectsAt state.Revision state

            match
                open'
                |> List.tryFind (fun call -> Observation.write call |> Option.exists (fun command -> effectsOf before command = effects))
            with
            | Some call -> List.filter (fun other -> not (obj.ReferenceEquals(other, call))) open', (call, state.Revision) :: found, strange
            | None -> open', found, Uninvited state.Revision :: strange

        let _, found, strange = List.fold assign (candidates, [], []) untold
        found, List.rev strange

    let private order calls happened =
        let ended = calls |> List.map (fun (call, reply: Reply) -> call, reply.Revision)

        let isLocal call =
            match call.Request with
            | Request.LocalRead _ -> true
            | _ -> false
        // Of a local read nothing is asked but that later calls do not fall behind it.
        let begun = (ended |> List.filter (fst >> isLocal >> not)) @ happened |> List.sortBy (fun (call, _) -> call.Began)
        let before = Observation.lastBefore snd (fun (call, _) -> call.Ended) ended

        begun
        |> List.choose (fun (call, revision) ->
            match before call.Began with
            | Some(earlier, known) when known > revision || (known = revision && isChange call) -> Some(OutOfOrder(earlier, call))
            | _ -> None)

    /// The contradictions; none, and the history is strictly serializable.
    /// `first` is the table before all calls; the records are those of every revision since.
    let check (first: State) (records: (Revision * Effect list) list) (calls: Observation list) : Contradiction list =
        let states = states first records
        let known = answered calls
        let changes = known |> List.filter (fst >> isChange)
        let happened, strange = attribute states changes calls

        twice changes @ List.choose (answers states) known @ strange @ order known happened
