namespace Regatta.Toxiproxy.Server

open System
open System.Collections.Generic

/// What comes next at a stage.
[<RequireQualifiedAccess; Struct; NoComparison; NoEquality>]
type internal Taken =
    | Chunk of Chunk
    /// The stream has ended.
    | End
    /// The stage's toxic was changed or removed, or the link is over: whoever works here leaves without delay.
    | Interrupted

/// What a stage has to do.
[<RequireQualifiedAccess; Struct>]
type internal Work =
    | Act of Kind
    | Leave
    | Nothing

[<RequireQualifiedAccess; Struct>]
type private Offer =
    | Accepted
    | Full
    | AtOutlet

/// One place in a link's chain: the queue before a toxic, and the way to the next. One task works at a stage, and every other may change what it does.
/// The first stage of a link has no toxic and no queue: it is where the bytes come in.
[<Sealed>]
type internal Stage(flow: Flow, toxic: Toxic, random: Random) =
    // As in the original: a line's delay holds many chunks, all else takes one after the other.
    let capacity =
        match toxic.Kind with
        | Kind.Latency _ -> 1024
        | _ -> 1

    let queue = Queue<Chunk>()
    let wake = Wake()
    let mutable toxic = toxic
    let mutable previous: Stage | null = null
    let mutable next: Stage | null = null
    let mutable ended = false
    let mutable closed = false
    let mutable interrupted = false
    let mutable leaving = false
    let mutable left = false

    let idle () = closed || left || flow.Over

    /// With the gate held. Whoever fills the queue may wait for room.
    let dequeue () =
        match previous with
        | null -> ()
        | previous -> previous.Wake()

        queue.Dequeue()

    /// Until it is so (then true), or the time has come. `there` is called with the gate held.
    let untilAsync (there: unit -> bool) due =
        task {
            let mutable met = lock flow.Gate there

            while not met && Clock.now () < due do
                let! _ = wake.WaitAsync(Clock.millisecondsUntil due)
                met <- lock flow.Gate there

            return met
        }

    do lock flow.Gate (fun () -> flow.Add wake)

    member _.Random = random

    /// The toxic's own memory of this connection: bytes that it let pass. Only the task at this stage uses it.
    member val Passed = 0L with get, set

    member private _.SetPrevious(value: Stage | null) = previous <- value
    member private _.SetNext(value: Stage | null) = next <- value

    /// With the gate held.
    member private _.Wake() = wake.Set()

    /// With the gate held.
    member private _.Enqueue(chunk: Chunk) =
        if closed || queue.Count >= capacity then
            Offer.Full
        else
            queue.Enqueue chunk
            wake.Set()
            Offer.Accepted

    /// With the gate held.
    member private _.HasRoom = not closed && queue.Count < capacity

    /// With the gate held.
    member private _.EndInput() =
        ended <- true
        wake.Set()

    member private _.Offer(chunk: Chunk) =
        lock flow.Gate (fun () ->
            match next with
            | _ when idle () ->
                chunk.Release()
                Offer.Accepted
            | null -> Offer.AtOutlet
            | next -> next.Enqueue chunk)

    /// Nothing lies between this stage and the socket.
    member _.IsLast = lock flow.Gate (fun () -> isNull next)

    /// Puts this stage behind the last one, unless the stream has already ended there.
    member stage.AppendTo(first: Stage) =
        lock flow.Gate (fun () ->
            let last = first.Last()

            if not (flow.Over || last.IsClosed) then
                last.SetNext stage
                previous <- last
                true
            else
                flow.Remove wake
                false)

    member private stage.Last() : Stage =
        match next with
        | null -> stage
        | next -> next.Last()

    member private _.IsClosed = closed

    /// Begins to work, with what the toxic is now: the draw for its toxicity is made here.
    member _.Begin() =
        lock flow.Gate (fun () ->
            interrupted <- false

            if idle () then Work.Nothing
            elif leaving then (if ended && queue.Count = 0 then Work.Act Kind.Noop else Work.Leave)
            elif random.NextSingle() < toxic.Toxicity then Work.Act toxic.Kind
            else Work.Act Kind.Noop)

    member _.Change(changed: Toxic) =
        lock flow.Gate (fun () ->
            toxic <- changed
            interrupted <- true
            wake.Set())

    /// The toxic is removed: what is here goes on without delay, and then the stage is no more. Does not wait for that.
    member stage.Remove() =
        match toxic.Kind with
        // Its bytes are lost, and the stream is of no more use.
        | Kind.Timeout _ -> stage.Close()
        | _ ->
            lock flow.Gate (fun () ->
                leaving <- true
                interrupted <- true
                wake.Set())

    /// True when there is something to take, false when the time has come first.
    member _.ReadyAsync due = untilAsync (fun () -> interrupted || ended || queue.Count > 0 || idle ()) due

    member private _.Take() =
        lock flow.Gate (fun () ->
            if interrupted || idle () then Taken.Interrupted
            elif queue.Count > 0 then Taken.Chunk(dequeue ())
            else Taken.End)

    member stage.TakeAsync() =
        task {
            let! _ = stage.ReadyAsync Clock.never
            return stage.Take()
        }

    /// Until then; false when interrupted first.
    member _.WaitAsync due =
        task {
            let! met = untilAsync (fun () -> interrupted || idle ()) due
            return not met
        }

    /// Until then, whatever becomes of the toxic; false when the link is over first.
    member _.WaitOutAsync due =
        task {
            let! met = untilAsync idle due
            return not met
        }

    /// Hands a chunk on, as soon as there is room for it. Never drops one but when the link is over.
    member stage.GiveAsync(chunk: Chunk) =
        task {
            let mutable offer = stage.Offer chunk

            while offer = Offer.Full do
                let! _ =
                    untilAsync
                        (fun () ->
                            idle ()
                            || match next with
                               | null -> true
                               | next -> next.HasRoom)
                        Clock.never

                offer <- stage.Offer chunk

            if offer = Offer.AtOutlet then
                do! flow.SendAsync chunk.Bytes
                chunk.Release()
        }

    /// Ends the stream behind this stage. What is still before it is lost.
    member stage.Close() =
        let atOutlet =
            lock flow.Gate (fun () ->
                let first = not (closed || left)
                closed <- true
                wake.Set()

                match next with
                | null -> first
                | next ->
                    if first then next.EndInput()
                    false)

        if atOutlet then flow.Finish()

    /// Both sides of the connection see an RST when this end of the stream has passed the chain.
    member stage.Reset() =
        flow.ResetOnClose()
        stage.Close()

    /// The next chunk that still has to go on before the stage can be left. When there is none, it has been left, or there is nothing to do but to end the stream.
    member _.LeaveOrTake() =
        lock flow.Gate (fun () ->
            if queue.Count > 0 && not (idle ()) then
                ValueSome(dequeue ())
            elif ended || idle () then
                ValueNone
            else
                // Nothing is in hand or before it, so the order of the bytes stays when the neighbours meet.
                left <- true
                flow.Remove wake

                match previous with
                | null -> ()
                | previous ->
                    previous.SetNext next
                    previous.Wake()

                match next with
                | null -> ()
                | next -> next.SetPrevious previous

                ValueNone)
