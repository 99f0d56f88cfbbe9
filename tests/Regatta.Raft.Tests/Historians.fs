/// Clients of a site in trouble that write down what they see, for the checkers of histories.
module Regatta.Raft.Tests.Historians

open System
open System.Collections.Concurrent
open System.Diagnostics
open System.Threading
open System.Threading.Tasks
open Regatta
open Regatta.Raft
open Regatta.Raft.Tests.SiteLife
open Regatta.Raft.Tests.Evidence
open Regatta.Spec
open Regatta.Testing.Tables

/// So few keys that calls meet.
let private keys = 12

let private incarnation = { History = GroupLife.incarnation.History; Number = GroupLife.incarnation.Number }

type Historians(site: Site, group: int64, seed: int) =
    let seen = ConcurrentQueue<Observation>()
    let mutable asked = 0

    let write (table: ITableGroup) command (token: CancellationToken) =
        task {
            let! outcome = table.ProposeAsync(Translation.command command, token).AsTask()

            return
                match outcome.Result, outcome.Failure with
                | null, GroupFailure.Unknown -> Outcome.Unknown
                | null, _ -> Outcome.Refused
                | result, _ -> Outcome.Answered(Translation.reply result)
        }

    let look (table: ITableGroup) query token =
        use view = table.Reader.OpenView()

        match query with
        | Query.Range(op, filter) ->
            let page = Core.TableQueries.Range(view, Translation.rangeQuery op filter, Core.PageSize.Default, token)
            Outcome.Answered { Revision = view.Revision; Response = Response.Range(Translation.answer page) }
        | Query.Txn txn ->
            Outcome.Answered(Translation.reply (Core.TableQueries.Evaluate(view, Translation.txn txn, Core.PageSize.Default, token)))

    let read (table: ITableGroup) query (token: CancellationToken) =
        task {
            let! barrier = table.ReadBarrierAsync(token).AsTask()
            return if barrier.Succeeded then look table query CancellationToken.None else Outcome.Refused
        }

    let ask (table: ITableGroup) request token =
        match request with
        | Request.Write command -> write table command token
        | Request.Read query -> read table query token
        | Request.LocalRead query -> Task.FromResult(look table query CancellationToken.None)

    member _.Client(number: int, stop: CancellationToken) =
        let random = Random(seed * 137 + number)

        task {
            while not stop.IsCancellationRequested do
                match site.TryNode site.Ids[random.Next site.Ids.Length] |> Option.bind _.TryGroup(group) with
                | Some table ->
                    use limit = new CancellationTokenSource(random.Next(100, 3000))
                    let request = Requests.draw random keys (Interlocked.Increment &asked)
                    let began = Stopwatch.GetTimestamp()
                    let! outcome = ask table request limit.Token

                    seen.Enqueue
                        { Client = number
                          Request = request
                          Began = began
                          Ended = Stopwatch.GetTimestamp()
                          Outcome = outcome }
                | None -> ()

                do! Task.Delay(random.Next 12)
        }

    /// Against the changelog of a node that has everything applied, when nothing is under way.
    member _.Check(reader: Core.ITableReader, evidence: Evidence) =
        let calls = List.ofSeq seen
        let first = Table.create incarnation

        for contradiction in Witness.check first (ChangelogCheck.records reader) calls |> List.truncate 5 do
            evidence.Violated $"group {group}: a history that cannot be: %A{contradiction}"

        for key in Linearizability.check first calls do
            evidence.Violated $"group {group}: no order explains what was seen of {key}"

        calls.Length
