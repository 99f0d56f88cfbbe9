/// What becomes of a call whose caller goes away.
module Regatta.Raft.Tests.BatcherCancellationTests

open System
open System.Buffers
open System.Collections.Concurrent
open System.Threading
open System.Threading.Tasks
open Expecto
open Regatta.Core
open Regatta.Raft
open Regatta.Testing
open Regatta.Raft.Tests.Fixtures
open Regatta.Raft.Tests.ProposalLog

/// A caller's buffer that says when it is read and holds the reader up.
type private SlowBuffer() =
    inherit MemoryManager<byte>()
    let content = [| 1uy; 2uy; 3uy; 4uy |]
    let reading = new ManualResetEventSlim(false)
    let go = new ManualResetEventSlim(false)
    member _.Content = content
    member _.Reading = reading
    member _.Go = go

    // The inherited one asks for the span.
    override this.Memory = this.CreateMemory content.Length

    override _.GetSpan() =
        reading.Set()
        go.Wait patience |> ignore
        Span content

    override _.Pin _ = raise (NotSupportedException())
    override _.Unpin() = ()
    override _.Dispose(_: bool) = ()

let tests =
    testList
        "Batcher"
        [ taskCase "a call that is cancelled while it waits is taken back"
          <| fun () ->
              task {
                  let log = Log options
                  use source = new CancellationTokenSource()
                  let first = log.Propose(put 1 1)
                  let entry = log.Next()
                  let cancelled = log.Propose(put 2 1, source.Token)
                  let other = log.Propose(put 3 1)
                  source.Cancel()
                  let! outcome' = outcome cancelled
                  Expect.equal outcome'.Failure GroupFailure.Cancelled "nothing happened"
                  apply entry 1
                  let next = log.Next()
                  Expect.equal (numbers next) [ 3 ] "it is in no entry"
                  apply next 2
                  let! _ = outcome first
                  let! _ = outcome other
                  Expect.equal log.Batcher.Waiting 0 "nobody waits"
              }

          taskCase "a call that is cancelled after it was handed to the log is told that its fate is unknown"
          <| fun () ->
              task {
                  let log = Log options
                  use source = new CancellationTokenSource()
                  let cancelled = log.Propose(put 1 1, source.Token)
                  let entry = log.Next()
                  source.Cancel()
                  let! outcome' = outcome cancelled
                  Expect.equal outcome'.Failure GroupFailure.Unknown "unknown"
                  apply entry 1
                  let next = log.Propose(put 2 1)
                  apply (log.Next()) 2
                  let! done' = outcome next
                  Expect.equal (nonNull done'.Result).Revision 2L "the next one has its own result"
              }

          taskCase "a call that is cancelled while its buffers are read is not told before they are free"
          <| fun () ->
              task {
                  let log = Log options
                  use source = new CancellationTokenSource()
                  let buffer = new SlowBuffer()
                  let command = PutCommand(Memory<byte>.op_Implicit buffer.Memory, ReadOnlyMemory<byte>.Empty, false)
                  let cancelled = log.Propose(command, source.Token)
                  Expect.isTrue (buffer.Reading.Wait patience) "the entry is being written"
                  source.Cancel()
                  Expect.isFalse cancelled.IsCompleted "the caller might use its buffer again"
                  buffer.Go.Set()
                  let! outcome' = outcome cancelled
                  Expect.equal outcome'.Failure GroupFailure.Unknown "it is in an entry now"
                  Array.Clear buffer.Content
                  Expect.equal (numbers (log.Next())) [ 0x04030201 ] "the entry has its own copy"
              }

          taskCase "a call with a token that is cancelled already does nothing"
          <| fun () ->
              task {
                  let log = Log options
                  let! outcome' = outcome (log.Propose(put 1 1, CancellationToken true))
                  Expect.equal outcome'.Failure GroupFailure.Cancelled "cancelled"
                  Expect.equal log.Count 0 "nothing is proposed"
              }

          taskCase "cancelled calls do not pile up while the log hangs"
          <| fun () ->
              task {
                  let log = Log(GroupOptions(MaxWaiting = 10))
                  let first = log.Propose(put 1 1)
                  let entry = log.Next()

                  for number in 2..1000 do
                      use source = new CancellationTokenSource()
                      let cancelled = log.Propose(put number 1, source.Token)
                      source.Cancel()
                      let! outcome' = outcome cancelled
                      Expect.equal outcome'.Failure GroupFailure.Cancelled "taken back"

                  let last = log.Propose(put 1001 1)
                  Expect.isLessThanOrEqual log.Batcher.QueueLength 20 "the queue"
                  apply entry 1
                  let next = log.Next()
                  Expect.equal (numbers next) [ 1001 ] "only the one that still waits"
                  apply next 2
                  let! _ = outcome first
                  let! _ = outcome last
                  ()
              }

          taskCase "every caller gets exactly one outcome, its own, whenever cancellations come"
          <| fun () ->
              task {
                  let log = Log(GroupOptions(EntryCommands = 16, MaxWaiting = 100_000))
                  let count = Scale.pick 20_000 500_000
                  let inEntries = ConcurrentDictionary<int, int64>()
                  let takenBack = ConcurrentBag<int>()
                  let mutable stop = false

                  let applier =
                      Task.Run(fun () ->
                          let random = Random Seed.current
                          let mutable revision = 0

                          while not (Volatile.Read &stop) || log.Count > 0 || log.Batcher.Waiting > 0 do
                              if log.Count > 0 then
                                  let entry = log.Next()
                                  let inside = numbers entry

                                  if random.Next 20 = 0 then
                                      entry.Waiters.Lost "lost"
                                      entry.Ended.SetResult()
                                  else
                                      for position, number in List.indexed inside do
                                          inEntries[number] <- int64 (revision + 1 + position)

                                      apply entry (revision + 1)

                                  revision <- revision + inside.Length
                              else
                                  Thread.Yield() |> ignore)

                  let caller (first: int) =
                      Task.Run<unit>(fun () ->
                          task {
                              let random = Random(Seed.current + first)

                              for number in first..8..count do
                                  use source = new CancellationTokenSource()
                                  let call = log.Propose(put number 8, source.Token)

                                  match random.Next 4 with
                                  | 0 -> source.Cancel()
                                  | 1 -> source.CancelAfter 0
                                  | _ -> ()

                                  let! outcome' = outcome call

                                  match outcome'.Failure with
                                  | GroupFailure.None ->
                                      Expect.equal
                                          (nonNull outcome'.Result).Revision
                                          inEntries[number]
                                          $"seed {Seed.current}: put {number} got another's result"
                                  | GroupFailure.Cancelled -> takenBack.Add number
                                  | GroupFailure.Unknown -> ()
                                  | other -> failtestf "seed %d: put %d: %O" Seed.current number other
                          })

                  let! _ = soonResult (Task.WhenAll [| for first in 1..8 -> caller first |])
                  Volatile.Write(&stop, true)
                  do! soon applier
                  Expect.equal log.Batcher.Waiting 0 "nobody is left"

                  for number in takenBack do
                      Expect.isFalse (inEntries.ContainsKey number) $"seed {Seed.current}: put {number} was said not to happen"
              } ]
