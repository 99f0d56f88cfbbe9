module Regatta.Integration.Tests.SiteHashTests

open System
open System.Threading
open System.Threading.Tasks
open Expecto
open Regatta.Testing
open Regatta.Testing.Nodes

/// The nodes' answers, without those that have none.
let private answers (reply: Regatta.Protocol.V1Ext.TableHashResponse) =
    reply.Nodes |> Seq.filter (fun node -> node.Error = "") |> List.ofSeq

/// Every answer has a hash of the content, and all are the same, of the revision in the header.
let private expectSame (site: Site) (count: int) (reply: Regatta.Protocol.V1Ext.TableHashResponse) =
    let seen = answers reply |> List.map (fun node -> node.Revision, node.Hash, node.ChainHash)

    match List.distinct seen with
    | [ revision, hash, chain ] when seen.Length = count && revision = reply.Header.Revision && hash.Length = 16 && chain.Length = 16 -> ()
    | _ -> site.Fail $"{count} nodes should have the same content at revision {reply.Header.Revision}: {reply}"

let private underWrites =
    Case.ofTask "while it is written to, all nodes have the same content at one revision; who is down is named" (fun () ->
        task {
            use scratch = new Scratch()
            // No leader is lost for want of a processor.
            use site = new Site((fun index -> scratch.Sub $"node-{index + 1}"), [ "--raft.election-timeout"; "5s" ])
            do! site.StartAll()
            // Patient ones: a node hashes for one caller at a time.
            let clients = [| for index in Site.All -> new Client(site.Port index, Launch.table) |]

            use _ =
                { new IDisposable with
                    member _.Dispose() = clients |> Array.iter (fun client -> (client :> IDisposable).Dispose()) }

            use stop = new CancellationTokenSource()

            let writers =
                [| for writer in 0..23 ->
                       task {
                           let mutable written = 0

                           while not stop.IsCancellationRequested do
                               let! _ = clients[writer % 3].Put($"w{writer}/{written % 50}", $"{written}")
                               written <- written + 1

                           return written
                       } |]

            let rounds = Scale.pick 20 1000
            let mutable revisions = Set.empty

            for _ in 1..rounds do
                let! before, _ = site.Clients[0].Get("nobody's", true)
                // Several of each node at once: there is always one that comes between two nodes' steps.
                let! replies = Task.WhenAll [| for call in 0..11 -> clients[call % 3].Hashes() |]

                for reply in replies do
                    expectSame site 3 reply
                    Expect.isGreaterThanOrEqual (int64 reply.Header.Revision) before "a linearizable read"
                    revisions <- Set.add reply.Header.Revision revisions

            stop.Cancel()
            let! written = Task.WhenAll writers
            let! leader = site.Leader()
            let lost = (leader + 1) % 3
            do! site.Kill [ lost ]
            let! reply = clients[leader].Hashes()
            expectSame site 2 reply
            let down = reply.Nodes |> Seq.find (fun node -> node.NodeId = uint64 (lost + 1))
            Expect.stringContains down.Error $"node {lost + 1}" "why there is no third answer"

            Expect.isGreaterThan revisions.Count (rounds / 2) "the table was written to meanwhile"

            Report.fact
                $"site, hashes under writes: {12 * rounds} of three nodes at {revisions.Count} revisions, {Array.sum written} writes"
        })

let tests = testList "hashes of a site" [ underWrites ]
