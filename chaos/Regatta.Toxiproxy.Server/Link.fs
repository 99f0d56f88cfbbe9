namespace Regatta.Toxiproxy.Server

open System
open System.Buffers
open System.Collections.Generic
open System.Threading.Tasks

/// One direction of a connection: bytes from its source through a stage for each toxic to its destination. Without a toxic it is a plain copy loop.
/// Its callers call it one at a time.
[<Sealed>]
type internal Link(direction: Direction, source: Peer, destination: Peer, seed: int) =
    // As much as the original reads at once.
    static let bufferSize = 32 * 1024

    static let nothing =
        { Name = ""
          Kind = Kind.Noop
          Stream = ""
          Direction = Direction.Upstream
          Toxicity = 0.0f }

    let random = lazy Random seed
    let flow = Flow(source, destination)
    let first = Stage(flow, nothing, Random.Shared)
    let stages = Dictionary<string, Stage>()
    let working = List<Task>()

    let copyAsync () =
        task {
            let buffer = ArrayPool<byte>.Shared.Rent bufferSize
            let mutable going = true

            while going do
                let! length = flow.ReceiveAsync(Memory(buffer, 0, bufferSize))
                let bytes = ReadOnlyMemory(buffer, 0, length)

                if length = 0 then first.Close()
                elif first.IsLast then do! flow.SendAsync bytes
                else do! first.GiveAsync(Chunk.Copy(bytes, Clock.now ()))

                going <- length > 0 && not flow.Over

            ArrayPool<byte>.Shared.Return buffer
        }

    let copying = lazy flow.GuardAsync copyAsync

    member _.Direction = direction

    /// Puts a toxic at the end of the chain.
    member _.Add(toxic: Toxic) =
        let stage = Stage(flow, toxic, Random(random.Value.Next()))

        if stage.AppendTo first then
            stages.Add(toxic.Name, stage)
            working.RemoveAll(fun task -> task.IsCompletedSuccessfully) |> ignore
            working.Add(Task.Run<unit>(fun () -> flow.GuardAsync(fun () -> Behaviour.workAsync stage)))

    member _.Change(toxic: Toxic) =
        match stages.TryGetValue toxic.Name with
        | true, stage -> stage.Change toxic
        | _ -> ()

    member _.Remove(toxic: Toxic) =
        match stages.TryGetValue toxic.Name with
        | true, stage ->
            stages.Remove toxic.Name |> ignore
            stage.Remove()
        | _ -> ()

    /// Begins to copy. The toxics of the beginning have been added by then.
    member _.Start() = copying.Force() |> ignore

    /// Closes the destination.
    member _.Abort() = flow.Finish()

    /// When both its ends are closed.
    member _.OverAsync() =
        task {
            do! copying.Value
            do! flow.Ended
        }

    /// When its stages have stopped, too. It is over, and gets no more toxics.
    member _.StoppedAsync() = Task.WhenAll working
