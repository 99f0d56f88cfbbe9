module Regatta.Raft.Tests.BatcherTests

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

/// An entry as the log would get it.
[<NoComparison; NoEquality>]
type Proposed = { Payload: byte array; Waiters: IProposalWaiters; Ended: TaskCompletionSource }

/// Stands in for the log: keeps what is proposed until the test says what becomes of it.
type Log(options: GroupOptions) =
    let proposals = new BlockingCollection<Proposed>()
    let mutable refusal = Nullable<ProposalOutcome>()

    let propose (payload: ReadOnlyMemory<byte>) (waiters: IProposalWaiters) =
        let proposed =
            { Payload = payload.ToArray()
              Waiters = waiters
              Ended = TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously) }

        proposals.Add proposed
        proposed.Ended.Task

    let batcher = Batcher(options, (fun payload batch -> propose payload batch), (fun () -> refusal))
    member _.Batcher = batcher

    member _.Refusal
        with get () = refusal
        and set value = refusal <- value

    /// The next entry that the batcher hands over.
    member _.Next() =
        let mutable proposed = Unchecked.defaultof<Proposed>

        if proposals.TryTake(&proposed, patience) then proposed else failtest "no entry was proposed"

    member _.Count = proposals.Count

    member _.Propose(command: TableCommand, token: CancellationToken) = batcher.ProposeAsync(command, token).AsTask()
    member log.Propose(command: TableCommand) = log.Propose(command, CancellationToken.None)

let private put (number: int) (size: int) =
    PutCommand(ReadOnlyMemory(BitConverter.GetBytes number), ReadOnlyMemory(Array.create size (byte number)), false) :> TableCommand

/// The numbers of the puts in an entry, in their order.
let private numbers (proposed: Proposed) =
    let mutable reader = EntryReader(ReadOnlyMemory proposed.Payload)
    let mutable command: TableCommand | null = null
    let found = ResizeArray()

    while reader.TryRead &command do
        match command with
        | :? PutCommand as put -> found.Add(BitConverter.ToInt32 put.Key.Span)
        | other -> failtestf "%O is no put" other

    List.ofSeq found

let private apply (proposed: Proposed) (firstRevision: int) =
    let count = (numbers proposed).Length

    for position in 0 .. count - 1 do
        proposed.Waiters.Set(position, PutResult(int64 (firstRevision + position), null))

    proposed.Waiters.Committed()
    proposed.Waiters.Applied()
    proposed.Ended.SetResult()

let private outcome (task: Task<ProposalOutcome>) = soonResult task

let private options = GroupOptions()

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
        [ taskCase "what arrives while an entry is on its way becomes the next one, in order"
          <| fun () ->
              task {
                  let log = Log options
                  let first = log.Propose(put 1 10)
                  let entry = log.Next()
                  Expect.equal (numbers entry) [ 1 ] "the first goes alone"
                  let others = [ for number in 2..50 -> log.Propose(put number 10) ]
                  Expect.equal log.Count 0 "one proposal is in flight"
                  entry.Waiters.Committed()
                  let second = log.Next()
                  Expect.equal (numbers second) [ 2..50 ] "all others together, before the first is applied"
                  Expect.isFalse first.IsCompleted "committed is not applied"
                  apply entry 1
                  let! done' = outcome first
                  Expect.equal (nonNull done'.Result).Revision 1L "the first one's revision"
                  apply second 2

                  for number, waiting in List.indexed others do
                      let! done' = outcome waiting
                      Expect.equal (nonNull done'.Result).Revision (int64 (number + 2)) "each its own result"

                  Expect.equal log.Batcher.Waiting 0 "nobody waits"
              }

          taskCase "an entry is bounded by bytes, and one large command goes alone"
          <| fun () ->
              task {
                  let log = Log(GroupOptions(EntryBytes = 1000))
                  let calls = [ for number, size in [ 1, 1; 2, 400; 3, 400; 4, 400; 5, 5000; 6, 1 ] -> log.Propose(put number size) ]
                  let entries = ResizeArray()

                  while List.sum (List.map List.length (List.ofSeq entries)) < 6 do
                      let entry = log.Next()
                      entries.Add(numbers entry)
                      apply entry 1

                  Expect.equal (List.concat entries) [ 1..6 ] "in order"
                  Expect.contains entries [ 5 ] "the large one alone"
                  Expect.isLessThan (entries |> Seq.map List.length |> Seq.max) 4 "never three of 400 bytes with another"

                  for call in calls do
                      let! done' = outcome call
                      Expect.equal done'.Failure GroupFailure.None "done"
              }

          taskCase "an entry is bounded by commands"
          <| fun () ->
              task {
                  let log = Log(GroupOptions(EntryCommands = 10))
                  let first = log.Propose(put 0 1)
                  let entry = log.Next()
                  let others = [ for number in 1..25 -> log.Propose(put number 1) ]
                  apply entry 1
                  let sizes = ResizeArray()

                  while Seq.sum sizes < 25 do
                      let entry = log.Next()
                      sizes.Add (numbers entry).Length
                      apply entry 2

                  Expect.sequenceEqual sizes [ 10; 10; 5 ] "entries"
                  let! _ = outcome first
                  let! _ = soonResult (Task.WhenAll others)
                  ()
              }

          taskCase "one more than may wait is refused at once, and nothing is queued for it"
          <| fun () ->
              task {
                  let log = Log(GroupOptions(MaxWaiting = 5))
                  let waiting = [ for number in 1..5 -> log.Propose(put number 1) ]
                  let! refused = outcome (log.Propose(put 6 1))
                  Expect.equal refused.Failure GroupFailure.Overloaded "overloaded"
                  let applied = ResizeArray()

                  while applied.Count < 5 do
                      let entry = log.Next()
                      applied.AddRange(numbers entry)
                      apply entry 1

                  Expect.sequenceEqual applied [ 1..5 ] "only what was taken"
                  let! _ = soonResult (Task.WhenAll waiting)
                  let again = log.Propose(put 7 1)
                  apply (log.Next()) 6
                  let! done' = outcome again
                  Expect.equal done'.Failure GroupFailure.None "there is room again"
              }

          taskCase "the bytes of those who wait are bounded too"
          <| fun () ->
              task {
                  let log = Log(GroupOptions(MaxWaitingBytes = 1000L))
                  let first = log.Propose(put 1 5000)
                  let! refused = outcome (log.Propose(put 2 1))
                  Expect.equal refused.Failure GroupFailure.Overloaded "a large one is taken alone; then there is no room"
                  apply (log.Next()) 1
                  let! done' = outcome first
                  Expect.equal done'.Failure GroupFailure.None "the large one"
              }

          taskCase "a call that is cancelled while it waits is taken back"
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

          taskCase "callers of a lost entry are told that it is unknown, and the next entry goes"
          <| fun () ->
              task {
                  let log = Log options
                  let lost = log.Propose(put 1 1)
                  let entry = log.Next()
                  let next = log.Propose(put 2 1)
                  entry.Waiters.Lost "a test says so"
                  let! outcome' = outcome lost
                  Expect.equal outcome'.Failure GroupFailure.Unknown "unknown"
                  Expect.stringContains (nonNull outcome'.Reason) "a test says so" "the reason"
                  apply (log.Next()) 1
                  let! done' = outcome next
                  Expect.equal done'.Failure GroupFailure.None "the next one"
              }

          taskCase "closing refuses who waits and who comes, and lets the entry on its way finish"
          <| fun () ->
              task {
                  let log = Log options
                  let first = log.Propose(put 1 1)
                  let entry = log.Next()
                  let waiting = log.Propose(put 2 1)
                  log.Batcher.Close(GroupFailure.Stopped, "closing")
                  let! stopped = outcome waiting
                  Expect.equal stopped.Failure GroupFailure.Stopped "who waited"
                  let! late = outcome (log.Propose(put 3 1))
                  Expect.equal late.Failure GroupFailure.Stopped "who comes late"
                  let drained = log.Batcher.DrainAsync()
                  Expect.isFalse drained.IsCompleted "an entry is on its way"
                  apply entry 1
                  do! soon drained
                  let! done' = outcome first
                  Expect.equal done'.Failure GroupFailure.None "the entry on its way"
                  Expect.equal log.Count 0 "nothing else was proposed"
              }

          taskCase "a reason to refuse is given at once"
          <| fun () ->
              task {
                  let log = Log options
                  log.Refusal <- Nullable(ProposalOutcome.Failed(GroupFailure.DiskFull, "full"))
                  let! refused = outcome (log.Propose(put 1 1))
                  Expect.equal refused.Failure GroupFailure.DiskFull "refused"
                  log.Refusal <- Nullable()
                  let taken = log.Propose(put 1 1)
                  apply (log.Next()) 1
                  let! done' = outcome taken
                  Expect.equal done'.Failure GroupFailure.None "taken"
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
