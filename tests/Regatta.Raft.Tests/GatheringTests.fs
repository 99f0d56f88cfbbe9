/// Whether an entry waits for callers who are about to come back.
module Regatta.Raft.Tests.GatheringTests

open System
open Expecto
open Microsoft.Extensions.Time.Testing
open Regatta.Raft
open Regatta.Raft.Tests.Fixtures
open Regatta.Raft.Tests.ProposalLog

let private ms (number: float) = TimeSpan.FromMilliseconds number

/// An entry with the first caller's command is committed after so long, while a second caller waits.
let private round (log: Log) (time: FakeTimeProvider) (took: TimeSpan) number =
    let _ = log.Propose(put number 1)
    let entry = log.Next()
    let second = log.Propose(put (number + 1) 1)
    time.Advance took
    entry.Waiters.Committed()
    let waits = log.Batcher.IsGathering
    apply entry 1
    waits, second

let tests =
    testList
        "gathering"
        [ taskCase "the next entry waits for the callers of the last one, and goes as soon as they are there"
          <| fun () ->
              task {
                  let time = FakeTimeProvider()
                  let log = Log(options, time)
                  let waits, _ = round log time (ms 5.) 1
                  Expect.isTrue waits "the first caller may be about to come back"
                  let _ = log.Propose(put 3 1)
                  Expect.equal (numbers (log.Next())) [ 2; 3 ] "both, without any time having passed"
              }

          taskCase "the next entry goes without those who do not come back in time"
          <| fun () ->
              task {
                  let time = FakeTimeProvider()
                  let log = Log(options, time)
                  let _ = round log time (ms 5.) 1
                  time.Advance(ms 19.)
                  Expect.isTrue log.Batcher.IsGathering "it waits"
                  time.Advance(ms 1.)
                  Expect.equal (numbers (log.Next())) [ 2 ] "who was there"
              }

          taskCase "nobody waits where rounds are short, callers are many, or one caller writes alone"
          <| fun () ->
              task {
                  let time = FakeTimeProvider()
                  let log = Log(options, time)
                  let _ = round log time (ms 1.) 1
                  let second = log.Next()
                  Expect.equal (numbers second) [ 2 ] "a short round"
                  let _ = [ for number in 3..10 -> log.Propose(put number 1) ]
                  time.Advance(ms 5.)
                  second.Waiters.Committed()
                  let many = log.Next()
                  Expect.equal (numbers many) [ 3..10 ] "many callers"
                  time.Advance(ms 5.)
                  let alone = Log(options, time)
                  let _ = alone.Propose(put 1 1)
                  let entry = alone.Next()
                  time.Advance(ms 5.)
                  entry.Waiters.Committed()
                  apply entry 1
                  let _ = alone.Propose(put 2 1)
                  Expect.equal (numbers (alone.Next())) [ 2 ] "one caller"
              }

          taskCase "it is not tried again for a while once it was in vain"
          <| fun () ->
              task {
                  let time = FakeTimeProvider()
                  let log = Log(options, time)

                  /// Whether the entry with the second caller's command had to wait.
                  let waits number =
                      let waited, _ = round log time (ms 5.) number
                      time.Advance(ms 20.)
                      apply (log.Next()) 1
                      waited

                  Expect.equal [ for number in 0..9 -> waits (2 * number) ] ([ true; true; true ] @ List.replicate 7 false) "three times"

                  let later = [ for number in 10..99 -> waits (2 * number) ]
                  Expect.equal (List.findIndex id later + 10) 67 "tried again after 64 entries"
              }

          taskCase "a hold in between loses nobody"
          <| fun () ->
              task {
                  let time = FakeTimeProvider()
                  let log = Log(options, time)
                  let _ = round log time (ms 5.) 1
                  log.Batcher.Hold()
                  let _ = log.Propose(put 3 1)
                  time.Advance(ms 20.)
                  Expect.isFalse log.Batcher.IsGathering "the time is up"
                  Expect.equal log.Count 0 "held"
                  log.Batcher.Resume()
                  Expect.equal (numbers (log.Next())) [ 2; 3 ] "after the hold"
              }

          taskCase "who waits when the batcher is closed is told"
          <| fun () ->
              task {
                  let time = FakeTimeProvider()
                  let log = Log(options, time)
                  let _, second = round log time (ms 5.) 1
                  log.Batcher.Close(GroupFailure.Stopped, "closed")
                  let! told = outcome second
                  Expect.equal told.Failure GroupFailure.Stopped "the second caller"
                  time.Advance(ms 20.)
                  Expect.equal log.Count 0 "no entry any more"
              } ]
