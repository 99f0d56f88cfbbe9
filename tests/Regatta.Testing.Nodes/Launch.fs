namespace Regatta.Testing.Nodes

open System

/// The ways in which tests start a node.
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
