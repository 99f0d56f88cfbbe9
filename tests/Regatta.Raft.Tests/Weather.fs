/// A network in memory with weather: link by link messages are lost, late, repeated and overtaken; nodes are cut off and come back. All
/// that it decides is drawn from a seed, one stream of numbers per link; what threads do between is not.
module Regatta.Raft.Tests.Weather

open System
open System.Collections.Concurrent
open System.Collections.Generic
open System.Threading
open System.Threading.Tasks
open Regatta.Raft
open Regatta.Raft.Tests.Wires

/// What a link does to a message; chances are of 1.
type Sky = { Loss: float; Late: float; Repeat: float; MaxDelay: int }

let calm = { Loss = 0.; Late = 0.; Repeat = 0.; MaxDelay = 0 }

let drawSky (random: Random) =
    { Loss = random.NextDouble() * 0.1
      Late = random.NextDouble() * 0.5
      Repeat = random.NextDouble() * 0.3
      MaxDelay = random.Next(2, 80) }

/// Requests that may come twice: everything that Raft sends. A write is sent once, as the transport promises.
let private mayRepeat (method: PeerMethod) = method <> PeerMethod.Propose && method <> PeerMethod.Transfer && method <> PeerMethod.Campaign

type private Draw =
    { Lost: bool
      ReplyLost: bool
      Noticed: bool
      Delay: int
      ReplyDelay: int
      Repeated: int option }

type private Link(seed: int) =
    let random = Random seed
    member val Sky = calm with get, set

    member link.Draw(method: PeerMethod) =
        lock random (fun () ->
            let sky = link.Sky
            let happens chance = random.NextDouble() < chance
            let delay () = if happens sky.Late then random.Next(1, sky.MaxDelay + 1) else 0

            { Lost = happens sky.Loss
              ReplyLost = happens sky.Loss
              Noticed = happens 0.5
              Delay = delay ()
              ReplyDelay = delay ()
              Repeated = if mayRepeat method && happens sky.Repeat then Some(random.Next(0, sky.MaxDelay + 1)) else None })

/// Sees what travels: requests when they arrive, replies when they leave.
type Traffic =
    abstract Arrives: from: int64 * target: int64 * group: int64 * method: PeerMethod * request: ReadOnlyMemory<byte> -> unit

    abstract Answered:
        from: int64 * target: int64 * group: int64 * method: PeerMethod * request: ReadOnlyMemory<byte> * reply: ReadOnlyMemory<byte> ->
            unit

type Weather(seed: int, traffic: Traffic) =
    let links = ConcurrentDictionary<struct (int64 * int64), Link>()

    let link (from: int64) (target: int64) =
        links.GetOrAdd(struct (from, target), (fun _ -> Link(seed * 1009 + int from * 31 + int target)))

    let mutable cut = HashSet<struct (int64 * int64)>()
    let mutable healed = TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously)
    let mutable messages = 0L
    let isCut from target = (Volatile.Read &cut).Contains(struct (from, target))
    let wait (milliseconds: int) = if milliseconds > 0 then Task.Delay milliseconds else Task.CompletedTask

    /// Nobody answers: until the caller's time is up, or the connection is seen to be broken.
    let silence (target: int64) noticed (token: CancellationToken) : Task<ReadOnlyMemory<byte>> =
        task {
            if not noticed then do! healed.Task.WaitAsync token

            return raise (PeerUnavailableException(target, true, "the connection broke"))
        }

    member _.Messages = Volatile.Read &messages

    member _.SetSky(from, target, sky) = (link from target).Sky <- sky

    /// From here on nothing passes these links, in this direction; what is under way does not arrive.
    member _.Cut(pairs: (int64 * int64) seq) = Volatile.Write(&cut, HashSet [ for from, target in pairs -> struct (from, target) ])

    /// All links pass again, in calm weather. Connections that were silent turn out to be broken.
    member _.Heal() =
        for link in links.Values do
            link.Sky <- calm

        Volatile.Write(&cut, HashSet())

        Interlocked.Exchange(&healed, TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously)).SetResult()

    interface Carrier with
        member _.Carry(from, target, group, method, request, deliver, token) =
            let arrive () =
                task {
                    if isCut from target then
                        return! silence target false token
                    else
                        Interlocked.Increment &messages |> ignore
                        traffic.Arrives(from, target, group, method, request)
                        let! reply = deliver ()
                        traffic.Answered(from, target, group, method, request, reply)
                        return reply
                }

            let again (delay: int) =
                task {
                    do! wait delay

                    try
                        let! _ = arrive ()
                        ()
                    with _ ->
                        ()
                }

            task {
                let draw = (link from target).Draw method

                if isCut from target && draw.Noticed then raise (PeerUnavailableException(target, false, "there is no connection"))

                do! wait draw.Delay

                if draw.Lost then
                    return! silence target draw.Noticed token
                else
                    match draw.Repeated with
                    | Some delay -> again delay |> ignore
                    | None -> ()

                    let! reply = arrive().WaitAsync token
                    do! wait draw.ReplyDelay

                    if draw.ReplyLost || isCut target from then return! silence target draw.Noticed token else return reply
            }
