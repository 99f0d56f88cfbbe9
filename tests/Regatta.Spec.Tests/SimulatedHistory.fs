/// Clients of one table that did everything right, as a seed would have it: what the checkers of histories must accept, and what corrupted ones are made of.
module Regatta.Spec.Tests.SimulatedHistory

open System
open System.Collections.Generic
open Regatta.Spec
open Regatta.Spec.Tests.Build

type Simulated =
    { Records: (Revision * Effect list) list
      Calls: Observation list
      Sessions: SessionCall list }

let private chance (random: Random) percent = random.Next 100 < percent
let private single key = KeyRange.single (b key)

[<RequireQualifiedAccess>]
type private Phase =
    | Idle
    | Asked of Request * began: int64
    | Done of Request * began: int64 * Reply

let run (keys: int) (clients: int) (calls: int) (seed: int) =
    let random = Random seed
    let states = List [ empty ]
    let committed = List [ 0L ]
    let phases = Array.create clients Phase.Idle
    let told = List<Observation>()
    let late = List<Command>()
    let mutable now = 0L
    let mutable asked = 0
    let last () = states[states.Count - 1]

    let change command =
        let state, reply = Table.apply (last ()) command

        if state.Revision > (last ()).Revision then
            states.Add state
            committed.Add now

        reply

    let effect =
        function
        | Request.Write command -> change command
        | Request.Read query -> Table.query (last ()) query
        | Request.LocalRead query -> Table.query states[random.Next(max 0 (states.Count - 5), states.Count)] query

    let tell client request began outcome =
        phases[client] <- Phase.Idle
        told.Add { Client = client; Request = request; Began = began; Ended = now; Outcome = outcome }

    let step client =
        match phases[client] with
        | Phase.Idle when asked < calls ->
            asked <- asked + 1
            phases[client] <- Phase.Asked(Requests.draw random keys asked, now)
        | Phase.Idle -> ()
        | Phase.Asked(Request.Write command as request, began) when chance random 3 ->
            // The client has given up, and its call is on its way, or lost.
            if chance random 50 then late.Add command
            tell client request began Outcome.Unknown
        | Phase.Asked(request, began) when chance random 2 -> tell client request began Outcome.Refused
        | Phase.Asked(request, began) -> phases[client] <- Phase.Done(request, began, effect request)
        | Phase.Done(Request.Write _ as request, began, _) when chance random 3 -> tell client request began Outcome.Unknown
        | Phase.Done(request, began, reply) -> tell client request began (Outcome.Answered reply)

    while asked < calls || phases |> Array.exists ((<>) Phase.Idle) do
        now <- now + 1L

        if late.Count > 0 && chance random 5 then
            let place = random.Next late.Count
            change late[place] |> ignore
            late.RemoveAt place

        step (random.Next clients)

    /// By a client: the greatest revision of its writes that ended before a moment; moments only grow.
    let written number =
        let own =
            [ for call in told do
                  match call.Request, Observation.reply call with
                  | Request.Write command, Some reply when call.Client = number && Command.mutates command -> call, reply.Revision
                  | _ -> () ]

        let last = Observation.lastBefore snd (fun (call, _) -> call.Ended) own
        fun moment -> last moment |> Option.map snd |> Option.defaultValue 0L

    // A client goes from site to site: it reads what has come there, never less than it knows by its reads and writes. In the end the table is made anew.
    let session number =
        let own = written number

        [ let mutable known = 0L
          let mutable moment = int64 number

          while moment < now do
              let began = moment
              let ended = began + 1L + int64 (random.Next 10)
              moment <- ended + 1L + int64 (random.Next 100)
              let newest = committed.FindLastIndex(fun time -> time <= began)
              known <- max known (own began)
              let shown = max (int known) (newest - random.Next 4)

              if shown <= newest then
                  known <- int64 shown
                  let query = Query.Range(rangeOp (single $"k{random.Next keys:D4}"), RevisionFilter.None)
                  // What came next makes it stale from then on.
                  let stale = if shown = newest then 0L else ended - committed[shown + 1]

                  { Call =
                      { Client = number
                        Request = Request.LocalRead query
                        Began = began
                        Ended = ended
                        Outcome = Outcome.Answered(Table.query states[shown] query) }
                    Life = empty.Incarnation
                    Staleness = if chance random 80 then Some(stale + int64 (random.Next 5)) else None }

          for later in 1L .. 3L do
              { Call =
                  { Client = number
                    Request = Request.LocalRead(Query.Range(rangeOp KeyRange.all, RevisionFilter.None))
                    Began = now + 10L * later
                    Ended = now + 10L * later + 1L
                    Outcome = Outcome.Answered { Revision = later; Response = Response.Range { Kvs = []; More = false; Count = 0L } } }
                Life = { empty.Incarnation with Number = empty.Incarnation.Number + 1L }
                Staleness = None } ]

    let writes =
        [ for call in told do
              match call.Request with
              | Request.Write command when Command.mutates command -> { Call = call; Life = empty.Incarnation; Staleness = None }
              | _ -> () ]

    { Records = [ for state in Seq.skip 1 states -> state.Revision, state.Changelog.Records[state.Revision] ]
      Calls = List.ofSeq told
      Sessions = writes @ List.collect session [ 0 .. min 2 (clients - 1) ] }
