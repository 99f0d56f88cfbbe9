/// A network between nodes in memory: every call goes through it, and it can be cut, link by link.
module Regatta.Raft.Tests.Wires

open System
open System.Collections.Concurrent
open System.Threading
open System.Threading.Tasks
open Regatta.Raft

/// What becomes of one call: decided when it is sent, and again when its reply comes back.
type Fate =
    | Delivered
    | Lost
    /// Never answered: the other node stands still, and its connection is there.
    | Held

/// How calls travel when they do not simply arrive: runs `deliver`, which is the call at its target, as often as the network wants to.
type Carrier =
    abstract Carry:
        from: int64 *
        target: int64 *
        group: int64 *
        method: PeerMethod *
        request: ReadOnlyMemory<byte> *
        deliver: (unit -> Task<ReadOnlyMemory<byte>>) *
        token: CancellationToken ->
            Task<ReadOnlyMemory<byte>>

type Wires() =
    let handlers = ConcurrentDictionary<int64, IPeerHandler>()
    let cut = ConcurrentDictionary<struct (int64 * int64), unit>()
    member val Decide: int64 -> int64 -> PeerMethod -> Fate = (fun _ _ _ -> Delivered) with get, set

    /// How long a node has heard nothing of another one.
    member val Silence: int64 -> int64 -> TimeSpan = (fun _ _ -> TimeSpan.Zero) with get, set

    /// None: a call arrives at once unless its link is cut.
    member val Carrier: Carrier option = None with get, set

    member _.Attach(node: int64, handler: IPeerHandler) = handlers[node] <- handler
    member _.Detach(node: int64) = handlers.TryRemove node |> ignore

    /// Both directions.
    member _.Cut(a: int64, b: int64) =
        cut[struct (a, b)] <- ()
        cut[struct (b, a)] <- ()

    member _.Join(a: int64, b: int64) =
        cut.TryRemove(struct (a, b)) |> ignore
        cut.TryRemove(struct (b, a)) |> ignore

    member _.IsUp(from: int64, target: int64) = handlers.ContainsKey target && not (cut.ContainsKey(struct (from, target)))

    member private wires.Deliver
        (from: int64, target: int64, group: int64, method: PeerMethod, request: ReadOnlyMemory<byte>)
        : Task<ReadOnlyMemory<byte>> =
        task {
            match handlers.TryGetValue target with
            | true, handler ->
                try
                    do! Task.Yield()
                    let! reply = handler.HandleAsync(from, group, method, request, CancellationToken.None).AsTask()
                    return ReadOnlyMemory(reply.ToArray())
                with e ->
                    return raise (PeerCallException e.Message)
            | _ -> return raise (PeerUnavailableException(target, true, "the node is down"))
        }

    member private wires.Direct
        (from: int64, target: int64, method: PeerMethod, deliver: unit -> Task<ReadOnlyMemory<byte>>, token: CancellationToken)
        =
        task {
            let arrives () = wires.IsUp(from, target) && wires.Decide from target method = Delivered

            if wires.Decide from target method = Held then do! Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, token)

            if not (arrives ()) then raise (PeerUnavailableException(target, false, "the link is cut"))

            let! reply = deliver().WaitAsync token

            if not (arrives ()) then raise (PeerUnavailableException(target, true, "the link was cut before the reply"))

            return reply
        }

    member wires.Call
        (from: int64, target: int64, group: int64, method: PeerMethod, request: ReadOnlyMemory<byte>, token: CancellationToken)
        : Task<ReadOnlyMemory<byte>> =
        let copy = ReadOnlyMemory(request.ToArray())
        let deliver () = wires.Deliver(from, target, group, method, copy)

        match wires.Carrier with
        | Some carrier -> carrier.Carry(from, target, group, method, copy, deliver, token)
        | None -> wires.Direct(from, target, method, deliver, token)

    member wires.Peer(from: int64, target: int64) =
        { new IPeer with
            member _.NodeId = target
            member _.IsConnected = wires.IsUp(from, target)
            member _.Silence = wires.Silence from target
            member _.CallAsync(group, method, request, token) = wires.Call(from, target, group, method, request, token) }
