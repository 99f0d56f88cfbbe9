module Regatta.Raft.Tests.LogStoreTests

open System
open System.IO
open System.Threading.Tasks
open Expecto
open Regatta.Raft
open Regatta.Testing
open Regatta.Raft.Tests.Fixtures

let private payload (number: int) (size: int) =
    let bytes = Array.zeroCreate<byte> size
    Random(number).NextBytes bytes
    bytes

let private scan (store: RaftLogStore) group =
    let found = ResizeArray()

    store.Scan(
        group,
        1L,
        Int64.MaxValue - 1L,
        (fun index record ->
            found.Add(index, LogRecord.Term(ReadOnlySpan record), LogRecord.Payload(record).ToArray())
            true)
    )

    List.ofSeq found

let private withStore directory body =
    task {
        use failStop = new FailStop()
        use store = openStore directory failStop None
        return! body store
    }

/// Writes entries 1..count of a group, each in a round of its own, with a hard state in front.
let private fill (store: RaftLogStore) group count size =
    task {
        do! soon (enqueue store [ LogOp.Put(group, HardState(3L, Nullable(), 0L, 0L)) ])

        for index in 1L .. int64 count do
            do! soon (enqueue store [ LogOp.Put(group, index, sealedRecord group index 3L (payload (int index) size)) ])
    }

let private hex (bytes: byte array) = Convert.ToHexStringLower bytes

let private formats =
    testList
        "stored formats"
        [ testCase "a record of an entry is what version 1 wrote"
          <| fun () ->
              let record = sealedRecord 10001L 42L 7L [| 1uy; 2uy; 3uy |]
              Expect.equal (hex record) "23aeb6b6c61c926701000700000000000000010203" "the bytes of an entry's record"

          testCase "a hard state with a vote is what version 1 wrote, and is read back"
          <| fun () ->
              let state = HardState(9L, Nullable(member' 5), 41L, 7L)
              let bytes = state.Encode 10001L

              Expect.equal
                  (hex bytes)
                  "bb25b5c8476eb3da010900000000000000290000000000000007000000000000000105000000000000000000000000000000000000000000000000000000"
                  "the bytes of a hard state"

              let mutable decoded = HardState()
              Expect.isNull (HardState.Decode(ReadOnlySpan bytes, 10001L, &decoded)) "sound"
              Expect.equal decoded state "the same state"

          testCase "a record in another place than its own is refused"
          <| fun () ->
              let record = sealedRecord 10001L 42L 7L [| 1uy; 2uy; 3uy |]
              Expect.isNull (LogRecord.Fault(ReadOnlySpan record, 10001L, 42L)) "sound in its place"
              Expect.isNotNull (LogRecord.Fault(ReadOnlySpan record, 10001L, 43L)) "another index"
              Expect.isNotNull (LogRecord.Fault(ReadOnlySpan record, 10002L, 42L)) "another group"

          testCase "every flipped bit of a record and of a hard state is found"
          <| fun () ->
              let record = sealedRecord 10001L 42L 7L (payload 1 40)
              let hard = HardState(9L, Nullable(member' 5), 41L, 7L).Encode 10001L

              for bit in 0 .. record.Length * 8 - 1 do
                  let copy = Array.copy record
                  copy[bit / 8] <- copy[bit / 8] ^^^ (1uy <<< bit % 8)
                  Expect.isNotNull (LogRecord.Fault(ReadOnlySpan copy, 10001L, 42L)) $"bit {bit} of the record"

              for bit in 0 .. hard.Length * 8 - 1 do
                  let copy = Array.copy hard
                  copy[bit / 8] <- copy[bit / 8] ^^^ (1uy <<< bit % 8)
                  let mutable decoded = HardState()
                  Expect.isNotNull (HardState.Decode(ReadOnlySpan copy, 10001L, &decoded)) $"bit {bit} of the hard state"

          testCase "a record of a later format is refused with its number"
          <| fun () ->
              let record = sealedRecord 1L 1L 1L [||]
              record[8] <- 2uy
              LogRecord.Seal(Span record, 1L, 1L)
              Expect.stringContains (string (LogRecord.Fault(ReadOnlySpan record, 1L, 1L))) "format 2" "says which format" ]

let private rounds =
    testList
        "rounds"
        [ taskCase "what was synced is there after reopening, group by group"
          <| fun () ->
              task {
                  use directory = new TemporaryDirectory()

                  do!
                      withStore directory.Path (fun store ->
                          task {
                              do! fill store 5L 20 100
                              do! fill store 9L 3 5000
                          })

                  do!
                      withStore directory.Path (fun store ->
                          task {
                              Expect.sequenceEqual (store.Groups()) [ 5L; 9L ] "the groups"
                              Expect.equal (scan store 5L) [ for i in 1..20 -> int64 i, 3L, payload i 100 ] "entries of group 5"
                              Expect.equal (scan store 9L) [ for i in 1..3 -> int64 i, 3L, payload i 5000 ] "entries of group 9"
                              Expect.equal (store.ReadHardState 5L) (Nullable(HardState(3L, Nullable(), 0L, 0L))) "hard state"
                              Expect.isFalse (store.ReadHardState(6L).HasValue) "a group that was never here"
                          })
              }

          taskCase "everything that waits goes to disk in one round, whatever the number of groups"
          <| fun () ->
              task {
                  use directory = new TemporaryDirectory()
                  use failStop = new FailStop()
                  let gate = WriteGate()
                  use store = openStore directory.Path failStop (Some gate)
                  use _ = gate.OpenAtEnd()
                  gate.Close()
                  let first = enqueue store [ LogOp.Put(1L, 1L, sealedRecord 1L 1L 1L [||]) ]
                  do! soon gate.Reached

                  let others = [| for group in 2L .. 100L -> enqueue store [ LogOp.Put(group, 1L, sealedRecord group 1L 1L [||]) ] |]

                  Expect.isFalse (others |> Array.exists _.IsCompleted) "nothing is acknowledged before its sync"
                  gate.Open()
                  do! soon first
                  do! soon (Task.WhenAll others)
                  Expect.equal gate.Rounds 2 "one round for the first, one for the 99 that came meanwhile"
                  Expect.equal (store.Groups().Count) 100 "all groups"
              }

          taskCase "a deletion and the records that replace it take effect in their order"
          <| fun () ->
              task {
                  use directory = new TemporaryDirectory()

                  do!
                      withStore directory.Path (fun store ->
                          task {
                              do! fill store 1L 10 10

                              do! soon (enqueue store [ LogOp.Delete(1L, 5L, 10L); LogOp.Put(1L, 5L, sealedRecord 1L 5L 4L [| 5uy |]) ])
                          })

                  do!
                      withStore directory.Path (fun store ->
                          task {
                              let expected = [ for i in 1..4 -> int64 i, 3L, payload i 10 ] @ [ 5L, 4L, [| 5uy |] ]
                              Expect.equal (scan store 1L) expected "the old tail is gone, the new entry is there"
                          })
              }

          taskCase "a dropped group leaves nothing behind and its neighbours alone"
          <| fun () ->
              task {
                  use directory = new TemporaryDirectory()

                  do!
                      withStore directory.Path (fun store ->
                          task {
                              for group in [ 1L; 2L; 3L ] do
                                  do! fill store group 5 10

                              do! soon (store.DropAsync 2L)
                          })

                  do!
                      withStore directory.Path (fun store ->
                          task {
                              Expect.sequenceEqual (store.Groups()) [ 1L; 3L ] "groups"
                              Expect.equal (scan store 2L) [] "entries of the dropped group"
                              Expect.equal (scan store 3L).Length 5 "entries of its neighbour"
                          })
              }

          taskCase "closing writes what is queued"
          <| fun () ->
              task {
                  use directory = new TemporaryDirectory()
                  use failStop = new FailStop()
                  let gate = WriteGate()
                  let store = openStore directory.Path failStop (Some gate)
                  gate.Close()
                  let first = enqueue store [ LogOp.Put(1L, HardState(1L, Nullable(), 0L, 0L)) ]
                  do! soon gate.Reached
                  let second = enqueue store [ LogOp.Put(1L, 1L, sealedRecord 1L 1L 1L [||]) ]
                  let closing = Task.Run store.Dispose
                  gate.Open()
                  do! soon closing
                  do! soon first
                  do! soon second
                  let late = enqueue store [ LogOp.Put(1L, 2L, sealedRecord 1L 2L 1L [||]) ]
                  Expect.isTrue late.IsFaulted "nothing can be queued any more"
                  do! withStore directory.Path (fun store -> task { Expect.equal (scan store 1L).Length 1 "entries" })
              } ]

let private failing =
    testList
        "a failed write"
        [ taskCase "fails everything that waits and everything later, and stops the node once"
          <| fun () ->
              task {
                  use directory = new TemporaryDirectory()
                  use failStop = new FailStop()
                  let gate = WriteGate()
                  let store = openStore directory.Path failStop (Some gate)
                  do! fill store 1L 3 10
                  gate.Close()
                  let held = enqueue store [ LogOp.Put(1L, 4L, sealedRecord 1L 4L 3L [||]) ]
                  do! soon gate.Reached
                  let queued = enqueue store [ LogOp.Put(2L, 1L, sealedRecord 2L 1L 3L [||]) ]
                  gate.Fail(IOException "no sync for you")
                  let! cause = soonResult failStop.Failure
                  Expect.stringContains cause directory.Path "names the directory"
                  Expect.stringContains cause "no sync for you" "names the cause"

                  for waiting in [ held; queued ] do
                      do! (waiting.ContinueWith((fun (_: Task) -> ()), TaskScheduler.Default)).WaitAsync patience
                      Expect.isTrue waiting.IsFaulted "what waited has failed"

                  let late = enqueue store [ LogOp.Put(1L, 5L, sealedRecord 1L 5L 3L [||]) ]
                  Expect.isTrue late.IsFaulted "what comes later fails at once"
                  failStop.Trigger "something else"
                  Expect.equal failStop.Cause cause "the first cause stays"
                  store.Dispose()

                  do!
                      withStore directory.Path (fun store ->
                          task { Expect.equal (scan store 1L).Length 3 "what was acknowledged is there" })
              }

          taskCase "gives its bytes back to the budget"
          <| fun () ->
              task {
                  use directory = new TemporaryDirectory()
                  use failStop = new FailStop()
                  let gate = WriteGate()
                  use store = openStore directory.Path failStop (Some gate)
                  use _ = gate.OpenAtEnd()
                  let record = sealedRecord 1L 1L 1L (payload 1 1000)
                  do! store.Budget.TakeAsync(int64 record.Length, Threading.CancellationToken.None)
                  Expect.equal store.Budget.Taken (int64 record.Length) "taken"
                  gate.Fail(IOException "no")
                  let doomed = enqueue store [ LogOp.Put(1L, 1L, record) ]
                  do! (doomed.ContinueWith((fun (_: Task) -> ()), TaskScheduler.Default)).WaitAsync patience
                  let! _ = soonResult failStop.Failure
                  store.Dispose()
                  Expect.equal store.Budget.Taken 0L "given back"
              } ]

/// The state that is on disk before a file is damaged: 40 entries of 300 bytes in group 7.
let private damaged (inTable: bool) (pattern: string) (name: string) (damage: string -> unit) =
    task {
        use directory = new TemporaryDirectory()
        let path = directory.Sub "log"
        do! withStore path (fun store -> fill store 7L 40 300)

        if inTable then
            // Opening writes the write-ahead log to a table file and starts a new one.
            do! withStore path (fun _ -> Task.FromResult())

        let file = Directory.GetFiles(path, pattern) |> Array.sortByDescending (fun file -> FileInfo(file).Length) |> Array.head

        damage file

        try
            use failStop = new FailStop()
            use store = openStore path failStop None
            let entries = EntryLog(store, 7L)
            entries.Open nothingApplied
            let found = scan store 7L
            Expect.equal found [ for i in 1..40 -> int64 i, 3L, payload i 300 ] $"{name}: opened, so nothing may be missing or wrong"
            return false
        with :? InvalidDataException as e ->
            Expect.stringContains e.Message path $"{name}: the message names the directory"
            return true
    }

let private flip (position: int64) (file: string) =
    use stream = File.Open(file, FileMode.Open, FileAccess.ReadWrite)
    stream.Position <- position
    let value = stream.ReadByte()
    stream.Position <- position
    stream.WriteByte(byte value ^^^ 0x10uy)

let private damage =
    testList
        "damaged files"
        [ taskCase "a flipped byte anywhere in the write-ahead log is refused or harmless, never a shorter log"
          <| fun () ->
              task {
                  let random = Random Seed.current
                  let mutable refused = 0
                  let count = Scale.pick 60 1000

                  for _ in 1..count do
                      let share = random.NextDouble()
                      let at (file: string) = int64 (share * float (FileInfo(file).Length - 1L))
                      let! found = damaged false "*.log" $"seed {Seed.current}, share {share}" (fun file -> flip (at file) file)
                      if found then refused <- refused + 1

                  Expect.isGreaterThan refused (count * 9 / 10) "nearly every flip hits something that is checked"
              }

          taskCase "a flipped byte anywhere in a table file is refused or harmless, never a shorter log"
          <| fun () ->
              task {
                  let random = Random Seed.current
                  let mutable refused = 0
                  let count = Scale.pick 40 500

                  for _ in 1..count do
                      let share = random.NextDouble()
                      let at (file: string) = int64 (share * float (FileInfo(file).Length - 1L))
                      let! found = damaged true "*.sst" $"seed {Seed.current}, share {share}" (fun file -> flip (at file) file)
                      if found then refused <- refused + 1

                  Expect.isGreaterThan refused (count / 2) "most flips hit something that is checked"
              }

          taskCase "a flipped byte in the last records of the write-ahead log is refused, also where it looks like a torn write"
          <| fun () ->
              task {
                  // A record's length that points behind the end of the file is what a torn write leaves.
                  for back in 1..190 do
                      let behind = int64 back * 2L

                      let! refused =
                          damaged false "*.log" $"{behind} bytes from the end" (fun file -> flip (FileInfo(file).Length - behind) file)

                      Expect.isTrue refused $"{behind} bytes from the end"
              }

          taskCase "a flipped byte in the witness of what was synced is refused"
          <| fun () ->
              task {
                  for position in 0L .. 15L do
                      let! refused = damaged false "SYNCED" $"byte {position}" (flip position)
                      Expect.isTrue refused $"byte {position}"
              }

          taskCase "a write-ahead log that was cut short is refused"
          <| fun () ->
              task {
                  let! refused =
                      damaged false "*.log" "cut in half" (fun file ->
                          use stream = File.Open(file, FileMode.Open, FileAccess.ReadWrite)
                          stream.SetLength(stream.Length / 2L))

                  Expect.isTrue refused "entries that were applied are missing"
              }

          taskCase "a write-ahead log that is gone is refused"
          <| fun () ->
              task {
                  let! refused = damaged false "*.log" "deleted" File.Delete
                  Expect.isTrue refused "the database remembers that it had one"
              }

          taskCase "a table file that is gone is refused"
          <| fun () ->
              task {
                  let! refused = damaged true "*.sst" "deleted" File.Delete
                  Expect.isTrue refused "the manifest names it"
              } ]

let private budget =
    testList
        "the budget of bytes"
        [ taskCase "is given in the order of asking, never beyond its limit"
          <| fun () ->
              task {
                  let budget = ByteBudget 100L
                  do! budget.TakeAsync(60L, Threading.CancellationToken.None)
                  let large = budget.TakeAsync(50L, Threading.CancellationToken.None).AsTask()
                  let small = budget.TakeAsync(10L, Threading.CancellationToken.None).AsTask()
                  Expect.isFalse large.IsCompleted "does not fit"
                  Expect.isFalse small.IsCompleted "would fit, but came later"
                  budget.Release 60L
                  do! soon large
                  do! soon small
                  Expect.equal budget.Taken 60L "both are taken"
              }

          taskCase "lets a request through that is larger than the limit when nothing else is taken"
          <| fun () ->
              task {
                  let budget = ByteBudget 100L
                  do! budget.TakeAsync(1000L, Threading.CancellationToken.None)
                  let next = budget.TakeAsync(1L, Threading.CancellationToken.None).AsTask()
                  Expect.isFalse next.IsCompleted "waits for the large one"
                  budget.Release 1000L
                  do! soon next
              }

          taskCase "forgets who cancels, and serves the next"
          <| fun () ->
              task {
                  let budget = ByteBudget 100L
                  do! budget.TakeAsync(80L, Threading.CancellationToken.None)
                  use source = new Threading.CancellationTokenSource()
                  let cancelled = budget.TakeAsync(90L, source.Token).AsTask()
                  let next = budget.TakeAsync(20L, Threading.CancellationToken.None).AsTask()
                  source.Cancel()
                  do! soon next
                  do! (cancelled.ContinueWith((fun (_: Task) -> ()), TaskScheduler.Default)).WaitAsync patience
                  Expect.isTrue cancelled.IsCanceled "cancelled"
                  Expect.equal budget.Taken 100L "only what was granted is taken"
              } ]

let tests = testList "RaftLogStore" [ formats; rounds; failing; damage; budget ]
