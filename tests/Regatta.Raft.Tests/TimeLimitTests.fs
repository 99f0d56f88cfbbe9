module Regatta.Raft.Tests.TimeLimitTests

open System
open System.Threading
open Expecto
open Microsoft.Extensions.Time.Testing
open Regatta.Raft
open Regatta.Raft.Tests.Fixtures

/// Its timers ring when a test says so: also those that have been put away, as a timer does that was just about to ring.
type private LateTimers() =
    inherit TimeProvider()
    let rings = ResizeArray<unit -> unit>()

    member _.RingAll() =
        for ring in rings do
            ring ()

    override _.CreateTimer(callback, state, _, _) =
        rings.Add(fun () -> callback.Invoke state)

        { new ITimer with
            member _.Change(_, _) = true
            member _.Dispose() = ()
            member _.DisposeAsync() = Tasks.ValueTask() }

let tests =
    testList
        "TimeLimit"
        [ testCase "its token is cancelled when the time is over, not before"
          <| fun () ->
              let time = FakeTimeProvider()
              use limit = new TimeLimit(TimeSpan.FromSeconds 2., time, ReadOnlySpan())
              time.Advance(TimeSpan.FromSeconds 1.9)
              Expect.isFalse limit.Token.IsCancellationRequested "not yet"
              time.Advance(TimeSpan.FromSeconds 0.1)
              Expect.isTrue limit.Token.IsCancellationRequested "now"

          testCase "or when any of the others is"
          <| fun () ->
              for cancelled in 0..1 do
                  use first = new CancellationTokenSource()
                  use second = new CancellationTokenSource()
                  use limit = new TimeLimit(TimeSpan.FromSeconds(2.), FakeTimeProvider(), ReadOnlySpan [| first.Token; second.Token |])
                  (if cancelled = 0 then first else second).Cancel()
                  Expect.isTrue limit.Token.IsCancellationRequested $"other {cancelled}"

          testCase "a timer that rings when it has just been put away does no harm"
          <| fun () ->
              let time = LateTimers()
              let limit = new TimeLimit(TimeSpan.FromSeconds 2., time, ReadOnlySpan())
              limit.Dispose()
              let peer = Unchecked.defaultof<IPeer>
              let deadline = new AppendDeadline(peer, GroupOptions(), time)
              deadline.Begin(CancellationToken.None) |> ignore
              deadline.TryEnd() |> ignore
              deadline.Dispose()
              time.RingAll() ]
