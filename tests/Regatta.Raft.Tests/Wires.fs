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

type Wires() =
    let handlers = ConcurrentDictionary<int64, IPeerHandler>()
    let cut = ConcurrentDictionary<struct (int64 * int64), unit>()
    member val Decide: int64 -> int64 -> PeerMethod -> Fate = (fun _ _ _ -> Delivered) with get, set

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

    member wires.Call
        (from: int64, target: int64, group: int64, method: PeerMethod, request: ReadOnlyMemory<byte>, token: CancellationToken)
        =
        task {
            let arrives () = wires.IsUp(from, target) && wires.Decide from target method = Delivered

            if not (arrives ()) then raise (PeerUnavailableException(target, false, "the link is cut"))

            let handler = handlers[target]
            let copy = ReadOnlyMemory(request.ToArray())

            let! reply =
                task {
                    try
                        do! Task.Yield()
                        return! handler.HandleAsync(from, group, method, copy, CancellationToken.None).AsTask().WaitAsync token
                    with
                    | :? OperationCanceledException as e when token.IsCancellationRequested -> return raise e
                    | e -> return raise (PeerCallException e.Message)
                }

            if not (arrives ()) then raise (PeerUnavailableException(target, true, "the link was cut before the reply"))

            return ReadOnlyMemory(reply.ToArray())
        }

    member wires.Peer(from: int64, target: int64) =
        { new IPeer with
            member _.NodeId = target
            member _.IsConnected = wires.IsUp(from, target)
            member _.CallAsync(group, method, request, token) = wires.Call(from, target, group, method, request, token) }
