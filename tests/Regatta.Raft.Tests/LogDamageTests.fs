/// A damaged log is refused, or what it gives is right.
module Regatta.Raft.Tests.LogDamageTests

open System
open System.IO
open System.Threading.Tasks
open Expecto
open Regatta.Raft
open Regatta.Testing
open Regatta.Raft.Tests.Fixtures
open Regatta.Raft.Tests.StoredEntries

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

/// How many of so many flips, each of one byte anywhere in the file, are refused.
let private refusedFlips (inTable: bool) (pattern: string) (count: int) =
    task {
        let random = Random Seed.current
        let mutable refused = 0

        for _ in 1..count do
            let share = random.NextDouble()
            let at (file: string) = int64 (share * float (FileInfo(file).Length - 1L))
            let! isRefused = damaged inTable pattern $"seed {Seed.current}, share {share}" (fun file -> flip (at file) file)
            if isRefused then refused <- refused + 1

        return refused
    }

let private damage =
    testList
        "damaged files"
        [ taskCase "a flipped byte anywhere in the write-ahead log is refused or harmless, never a shorter log"
          <| fun () ->
              task {
                  let count = Scale.pick 60 1000
                  let! refused = refusedFlips false "*.log" count
                  Expect.isGreaterThan refused (count * 9 / 10) "nearly every flip hits something that is checked"
              }

          taskCase "a flipped byte anywhere in a table file is refused or harmless, never a shorter log"
          <| fun () ->
              task {
                  let count = Scale.pick 40 500
                  let! refused = refusedFlips true "*.sst" count
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

let tests = testList "RaftLogStore" [ damage ]
