namespace Regatta.Toxiproxy.Server

open System
open System.Collections.Generic
open System.Runtime.ExceptionServices
open System.Threading.Tasks

/// What the stages of one link share: its two sockets, its lock, and whether it is over. Safe for concurrent use.
[<Sealed>]
type internal Flow(source: Peer, destination: Peer) =
    let wakes = List<Wake>()
    let ended = TaskCompletionSource TaskCreationOptions.RunContinuationsAsynchronously
    let mutable over = false

    /// The lock of all stages of the link, never held across a wait.
    member _.Gate = wakes :> obj

    /// The destination is closed, and nothing moves any more. Read with the gate held, or where a late answer does no harm.
    member _.Over = over

    member _.Ended: Task = ended.Task

    /// With the gate held.
    member _.Add(wake: Wake) = wakes.Add wake

    /// With the gate held.
    member _.Remove(wake: Wake) = wakes.Remove wake |> ignore

    /// Closes the destination and frees all who wait.
    member flow.Finish() =
        let first =
            lock flow.Gate (fun () ->
                let first = not over
                over <- true

                for wake in wakes do
                    wake.Set()

                first)

        if first then
            destination.Close()
            ended.SetResult()

    /// Closing either side is an RST from now on.
    member _.ResetOnClose() =
        source.ResetOnClose()
        destination.ResetOnClose()

    member _.ReceiveAsync(buffer: Memory<byte>) = source.ReceiveAsync buffer

    /// A destination that takes no more ends the link.
    member flow.SendAsync(bytes: ReadOnlyMemory<byte>) =
        task {
            let! sent = destination.SendAsync bytes
            if not sent then flow.Finish()
        }

    /// Runs a task of the link. Should it fail, which only a bug can cause, the link does not stay behind half alive.
    member flow.GuardAsync(work: unit -> Task<unit>) =
        task {
            try
                do! work ()
            with e ->
                flow.Finish()
                ExceptionDispatchInfo.Throw e
        }
