module Regatta.Raft.Tests.ByteRateTests

open System
open System.Threading
open Expecto
open Microsoft.Extensions.Time.Testing
open Regatta.Raft
open Regatta.Raft.Tests.Fixtures
open Regatta.Raft.Tests.SnapshotFixtures

let tests =
    testList
        "a rate of bytes"
        [ taskCase "lets no more bytes per second through than allowed, with a second's worth at once"
          <| fun () ->
              task {
                  let time = FakeTimeProvider()
                  let rate = ByteRate(1000L, 100, time)
                  let take (bytes: int) = rate.TakeAsync(bytes, CancellationToken.None).AsTask()
                  Expect.isTrue ((take 600).IsCompletedSuccessfully && (take 400).IsCompletedSuccessfully) "the burst"
                  let waiting = [| for _ in 1..5 -> take 100 |]

                  for served in 0..4 do
                      Expect.isTrue (waiting[served..4] |> Array.forall (fun read -> not read.IsCompleted)) $"after {served}"
                      time.Advance(TimeSpan.FromMilliseconds 99.)
                      Expect.isFalse waiting[served].IsCompleted "too early"
                      time.Advance(TimeSpan.FromMilliseconds 1.)
                      do! soon waiting[served]

                  time.Advance(TimeSpan.FromHours 1.)
                  Expect.isTrue (take 1000).IsCompletedSuccessfully "never more than a second's worth is saved"
                  Expect.isFalse (take 1).IsCompleted "and no byte more"
              }

          taskCase "who gives up waiting for his bytes does not use them up"
          <| fun () ->
              task {
                  let time = FakeTimeProvider()
                  let rate = ByteRate(10L, 1000, time)

                  Expect.isTrue
                      (rate.TakeAsync(1000, CancellationToken.None).IsCompletedSuccessfully)
                      "a whole chunk, though it is more than a second's worth"

                  use giveUp = new CancellationTokenSource()
                  let waiting = rate.TakeAsync(1000, giveUp.Token).AsTask()
                  giveUp.Cancel()
                  let! _ = failing waiting
                  time.Advance(TimeSpan.FromSeconds 100.)
                  Expect.isTrue (rate.TakeAsync(1000, CancellationToken.None).IsCompletedSuccessfully) "after 100 s"
              } ]
