namespace Regatta.Testing.Nodes

open System
open Regatta.Testing

/// The ways in which tests start a node.
module Launch =
    /// The table that the tests write to.
    let table = "default"

    let private address (port: int) = $"http://127.0.0.1:{port}"
    let private raft (node: Ports) = $"127.0.0.1:{node.Raft}"

    /// A node by its id: `command` is leader or follower, and the site's nodes, in the order of their ids, are found at the addresses.
    let node (command: string) (id: int) (data: string) (ports: Ports) (addresses: string list) (options: string list) =
        let members = addresses |> List.mapi (fun index address -> $"{index + 1}={address}") |> String.concat ","

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
        node "leader" id data site[id - 1] (List.map raft site) ([ "--tables.names"; table ] @ options)

    /// `regatta follower`, in the same way.
    let followerNode (leader: string list) (id: int) (data: string) (site: Ports list) (options: string list) =
        let followed = [ "--replication.leader-address"; String.concat "," leader ]
        node "follower" id data site[id - 1] (List.map raft site) (followed @ options)

    /// `regatta leader`, one production node, with further options.
    let leader (data: string) (ports: Ports) (options: string list) = siteNode 1 data [ ports ] options

    /// `regatta dev`, as the README starts it.
    let dev (data: string) (ports: Ports) =
        let arguments = [ "dev"; "--nodes"; "1"; "--base-port"; string ports.Base; "--data-dir"; data ]
        { Prefix = []; Arguments = arguments; Rest = ports.Rest }
