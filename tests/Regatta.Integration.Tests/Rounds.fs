namespace Regatta.Integration.Tests

open System
open System.Collections.Generic
open Regatta.Testing
open Regatta.Testing.Nodes

/// What all tests do with a node, and after its crash.
module Rounds =
    /// Starts a node and waits until it takes writes.
    let ready (start: NodeStart) =
        task {
            let node = NodeProcess.Start start

            try
                do! node.Ready()
                return node
            with error ->
                (node :> IDisposable).Dispose()
                return raise error
        }

    let client (ports: Ports) = new Client(ports.Clients, Launch.table)

    let show (violations: Violation list) =
        let shown = violations |> List.truncate 10 |> List.map (sprintf "  %A")
        String.Join(Environment.NewLine, shown)

    /// What the node holds now must follow from the state before and the calls since; the round, or a failure that says what is wrong.
    let verify what (node: NodeProcess) (client: Client) (workload: Workload) before operations =
        task {
            let! found = client.Dump()

            if not workload.WrongReads.IsEmpty then
                node.Fail(String.concat Environment.NewLine ($"%s{what}: wrong reads" :: workload.WrongReads))

            return
                match History.check before operations found with
                | Ok round -> round
                | Error violations ->
                    node.Fail(
                        $"%s{what}: {violations.Length} violations between revision {before.Revision} and {found.Revision}, of them:{Environment.NewLine}{show violations}"
                    )
        }

/// The sums over the rounds of one test.
type Totals() =
    let rounds = List<Round>()
    member _.Add round = rounds.Add round
    member _.Rounds = rounds.Count
    member _.Acknowledged = Seq.sumBy _.Acknowledged rounds

    member totals.Text =
        let unknown = Seq.sumBy _.Unknown rounds
        let happened = Seq.sumBy _.UnknownButHappened rounds
        $"{totals.Acknowledged} acknowledged writes, 0 missing; {unknown} without a reply, of which {happened} had happened, each once"
