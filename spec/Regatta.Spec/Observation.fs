namespace Regatta.Spec

/// What a client asked for.
[<RequireQualifiedAccess>]
type Request =
    | Write of Command
    /// Linearizable: it sees every write that was acknowledged before it began.
    | Read of Query
    /// It sees some state of the table, whole.
    | LocalRead of Query

[<RequireQualifiedAccess>]
type Outcome =
    | Answered of Reply
    /// It is certain that nothing happened.
    | Refused
    /// It happened once, at any time after it began, or never: the client cannot know.
    | Unknown

/// One call as its client saw it. Times are of one monotonic clock that all clients share, in any unit.
type Observation = { Client: int; Request: Request; Began: int64; Ended: int64; Outcome: Outcome }

module Observation =
    let reply call =
        match call.Outcome with
        | Outcome.Answered reply -> Some reply
        | Outcome.Refused
        | Outcome.Unknown -> None

    let write call =
        match call.Request with
        | Request.Write command -> Some command
        | Request.Read _
        | Request.LocalRead _ -> None

    /// Of the calls that ended before this one began, the one with the greatest mark; of calls in the order in which they began, in
    /// O(n log n) altogether.
    let lastBefore (mark: 'call -> int64) (ended: 'call -> int64) (calls: 'call list) =
        let byEnd = calls |> List.sortBy ended |> Array.ofList
        let mutable next = 0
        let mutable greatest: 'call option = None

        fun (began: int64) ->
            while next < byEnd.Length && ended byEnd[next] < began do
                if greatest |> Option.forall (fun known -> mark byEnd[next] > mark known) then greatest <- Some byEnd[next]
                next <- next + 1

            greatest
