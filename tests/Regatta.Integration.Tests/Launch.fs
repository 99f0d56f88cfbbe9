namespace Regatta.Integration.Tests

open System
open System.Collections.Generic
open System.Threading.Tasks
open Expecto
open Regatta.Testing.Nodes

/// The ways in which the tests start a node, and what they all do after a crash.
module Launch =
    /// The table that the tests write to.
    let table = "default"

    let private node (command: string) (id: int) (data: string) (site: Ports list) (options: string list) =
        let ports = site[id - 1]
        let address port = $"http://127.0.0.1:{port}"
        let raft (node: Ports) = $"127.0.0.1:{node.Base + 2}"
        let members = site |> List.mapi (fun index node -> $"{index + 1}={raft node}") |> String.concat ","

        let fixedOptions =
            [ "--data-dir"
              data
              "--api.address"
              address ports.Clients
              "--rest.address"
              address ports.Rest
              "--replication.address"
              address ports.Replication
              "--raft.node-id"
              string id
              "--raft.address"
              raft ports ]

        let arguments = command :: fixedOptions @ [ "--raft.initial-members"; members ] @ options
        { Prefix = []; Arguments = arguments; Rest = ports.Rest }

    /// `regatta leader`: a node of a site whose nodes have these ports, the first one as node 1, with further options.
    let siteNode (id: int) (data: string) (site: Ports list) (options: string list) =
        node "leader" id data site ([ "--tables.names"; table ] @ options)

    /// `regatta follower`, in the same way.
    let followerNode (leader: string list) (id: int) (data: string) (site: Ports list) (options: string list) =
        node "follower" id data site ([ "--replication.leader-address"; String.concat "," leader ] @ options)

    /// `regatta leader`, one production node, with further options.
    let leader (data: string) (ports: Ports) (options: string list) = siteNode 1 data [ ports ] options

    /// `regatta dev`, as the README starts it.
    let dev (data: string) (ports: Ports) =
        let arguments = [ "dev"; "--nodes"; "1"; "--base-port"; string ports.Base; "--data-dir"; data ]
        { Prefix = []; Arguments = arguments; Rest = ports.Rest }

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

    let client (ports: Ports) = new Client(ports.Clients, table)

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
