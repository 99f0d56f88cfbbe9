/// Damage to a table's files: whatever byte is hit, the table is right or refused, never wrong.
module Regatta.Storage.Tests.CorruptionTests

open System
open System.IO
open Expecto
open Regatta.Core
open Regatta.Storage
open Regatta.Storage.Tests
open Regatta.Testing

[<NoComparison>]
type private Everything =
    { Applied: AppliedState
      Content: (string * RecordHeader * string) list
      Points: (string * string option) list
      Oldest: int64
      Changelog: (int64 * int * string) list }

type private Outcome =
    /// All reads are right; what `Verify` says is told apart.
    | Right of verified: bool
    | Refused of string
    | Wrong of string

let private keys = [ for number in 0..399 -> $"key/%04d{number}" ]

/// Several files on several levels, with overwritten, deleted and trimmed records.
let private build directory environment =
    use store = Store.openAt directory environment

    for round in 0..9 do
        Store.apply
            store
            [ for number, key in List.indexed keys do
                  if number % 7 = round then
                      [ Store.Delete key ]
                  elif round < 3 || key[key.Length - 1] = char (round + int '0') then
                      [ Store.Put(key, Bytes.ofText (String.replicate (1 + round * 5) $"value {round} of {key}")) ] ]

        if round = 4 then store.TrimChangelog(ChangelogLimits(Nullable 500L, Nullable(), Nullable())) |> ignore

        store.Flush()
        // Leaves files on two levels, and nothing that would be compacted when the table is opened again.
        if round = 6 then Store.compact store

let private changelog (store: TableStore) =
    let reader = ChangelogReader(store, max 1L store.OldestRevision, true)

    let rec read seen =
        match reader.Read 10_000 with
        | :? ChangelogRead.Records as records ->
            read (seen @ [ for item in records.Items -> item.Revision, item.Part, Bytes.toText item.Record ])
        | :? ChangelogRead.CaughtUp -> seen
        | other -> failtestf "%A" other

    read []

let private readAll directory environment =
    use store = Store.openAt directory environment
    use view = store.OpenView()

    { Applied = store.Applied
      Content = Store.content view
      Points = [ for key in keys -> key, Store.tryGet store key ]
      Oldest = store.OldestRevision
      Changelog = changelog store }

let private verifies directory environment =
    use store = Store.openAt directory environment

    try
        store.Verify()
        true
    with :? StorageCorruptionException ->
        false

let private outcome expected directory environment =
    try
        let found = readAll directory environment

        if found = expected then Right(verifies directory environment)
        elif found.Applied <> expected.Applied then Wrong $"applied {found.Applied} instead of {expected.Applied}"
        else Wrong "records differ"
    with
    | :? StorageCorruptionException as e -> Refused e.Message
    | e -> Wrong(string e)

let private nameOf (file: string) = Path.GetFileName file |> string

let private copy source target =
    Directory.CreateDirectory target |> ignore

    for file in Directory.GetFiles source do
        File.Copy(file, Path.Combine(target, nameOf file))

let private kind (file: string) =
    match Path.GetExtension file, nameOf file with
    | ".sst", _ -> "SST"
    | _, name when name.StartsWith "MANIFEST" -> "MANIFEST"
    | _, ("CURRENT" | "FLUSHED" as name) -> name
    | _ -> "incidental"

/// When damage was found.
type private Found =
    | AtRead
    | AtVerify
    | Never

/// Damages one file of a copy in each trial, and tells what came of it by kind of file.
let private sweep trials (damage: Random -> string -> string) =
    use scratch = new Scratch()
    use environment = Store.environment StorageOptions.Default
    let sound = scratch.Path "sound"
    build sound environment
    let expected = readAll sound environment
    // Opening has written a new manifest; this is the state that is damaged.
    let random = Random Seed.current

    [ for trial in 1..trials do
          let directory = scratch.Path $"trial-{trial}"
          copy sound directory
          let files = Directory.GetFiles directory |> Array.filter (fun file -> FileInfo(file).Length > 0L) |> Array.sort
          // Kinds first, files second: the many table files must not crowd out the few that hold it all together.
          let kinds = files |> Array.groupBy kind
          let name, ofKind = kinds[random.Next kinds.Length]
          let file = ofKind[random.Next ofKind.Length]
          let what = damage random file
          let result = outcome expected directory environment
          Directory.Delete(directory, true)

          match result with
          | Wrong how -> failtestf "seed %d, trial %d, %s: %s: %s" Seed.current trial (nameOf file) what how
          | Refused message when not (message.Contains directory) -> failtestf "the message does not name %s: %s" directory message
          | Refused message when name = "SST" && not (message.Contains(nameOf file)) ->
              failtestf "seed %d, trial %d, %s: %s: the message does not name the file: %s" Seed.current trial (nameOf file) what message
          | Refused _ -> name, AtRead
          | Right false -> name, AtVerify
          | Right true -> name, Never ]

let private tell what results =
    for name, outcomes in results |> List.groupBy fst do
        let counts = outcomes |> List.countBy snd |> List.map (fun (found, count) -> $"%d{count} %A{found}")
        printfn "%s, %s: %s" what name (String.concat ", " counts)

let private foundAs found name results = results |> List.filter (fun result -> result = (name, found)) |> List.length

/// Bytes of the blocks that hold a table file's entries, at its beginning, as its properties say.
let private entryBytes (file: string) =
    let property = "data.size"B
    let bytes = File.ReadAllBytes file
    let mutable at = bytes.AsSpan().IndexOf(ReadOnlySpan property) + property.Length
    let mutable size, shift = 0, 0

    while bytes[at] >= 0x80uy do
        size <- size ||| (int (bytes[at] &&& 0x7Fuy) <<< shift)
        shift <- shift + 7
        at <- at + 1

    size ||| (int bytes[at] <<< shift)

let private flip (random: Random) (file: string) =
    let bytes = File.ReadAllBytes file
    let at = random.Next bytes.Length
    let mask = byte (1 <<< random.Next 8)
    bytes[at] <- bytes[at] ^^^ mask
    File.WriteAllBytes(file, bytes)
    $"bit 0x%02x{mask} of byte {at} flipped"

let private truncate (random: Random) (file: string) =
    let length = int (FileInfo(file).Length)
    let kept = random.Next length
    use stream = File.OpenWrite file
    stream.SetLength(int64 kept)
    $"cut from {length} to {kept} bytes"

let private remove (_: Random) (file: string) =
    File.Delete file
    "removed"

let tests =
    testList
        "damaged files"
        [ testCase "a flipped bit leaves the table right or refused" (fun () ->
              let results = sweep (Scale.pick 200 6_000) flip
              tell "flipped" results

              for name in [ "SST"; "CURRENT"; "FLUSHED"; "MANIFEST" ] do
                  Expect.isGreaterThan (foundAs AtRead name results) 0 $"flips in {name} are found"

              // What is never found changes nothing that is read. RocksDB checks neither a table file's properties, which only tools look at, nor
              // what a crash may have torn at a manifest's end.
              for name in [ "CURRENT"; "FLUSHED" ] do
                  Expect.equal (foundAs Never name results) 0 $"every flip in {name} is found")

          testCase "a file cut short leaves the table right or refused" (fun () ->
              let results = sweep (Scale.pick 80 2_000) truncate
              tell "cut" results

              for name in [ "SST"; "CURRENT"; "FLUSHED" ] do
                  Expect.isGreaterThan (foundAs AtRead name results) 0 $"cuts of {name} are found"
                  Expect.equal (foundAs Never name results + foundAs AtVerify name results) 0 $"every cut of {name} is found at once")

          testCase "a missing file leaves the table right or refused" (fun () ->
              let results = sweep (Scale.pick 40 400) remove
              tell "removed" results

              for name in [ "SST"; "CURRENT"; "FLUSHED"; "MANIFEST" ] do
                  Expect.isGreaterThan (foundAs AtRead name results) 0 $"a missing {name} is found"
                  Expect.equal (foundAs Never name results + foundAs AtVerify name results) 0 $"every missing {name} is found at once")

          testCase "a table file is named whatever byte of it is damaged, though RocksDB blames another" (fun () ->
              use scratch = new Scratch()
              use environment = Store.environment StorageOptions.Default
              let sound = scratch.Path "sound"
              build sound environment
              readAll sound environment |> ignore
              let file = Directory.GetFiles(sound, "*.sst") |> Array.minBy (fun file -> FileInfo(file).Length) |> nameOf
              let length = int (FileInfo(Path.Combine(sound, file)).Length)
              let entries = entryBytes (Path.Combine(sound, file))
              let mutable refusals = 0

              for at in 0 .. Scale.pick 40 3 .. length - 1 do
                  let directory = scratch.Path $"byte-{at}"
                  copy sound directory
                  let bytes = File.ReadAllBytes(Path.Combine(directory, file))
                  bytes[at] <- bytes[at] ^^^ 0xffuy
                  File.WriteAllBytes(Path.Combine(directory, file), bytes)

                  try
                      readAll directory environment |> ignore
                      // Nothing that is read needs it, an overwritten record say: then verifying finds it.
                      if at < entries then
                          Expect.isFalse (verifies directory environment) $"byte {at} is among the entries, and nobody noticed"
                  with :? StorageCorruptionException as e ->
                      refusals <- refusals + 1
                      Expect.stringContains e.Message file $"byte {at} of {length}"

                  let names = Directory.GetFileSystemEntries(scratch.Path ".") |> Array.map nameOf
                  Expect.isFalse (names |> Array.exists _.Contains("links")) "nothing is left of the search"
                  Directory.Delete(directory, true)

              Expect.isGreaterThan refusals 0 "some are refused")

          testCase "a manifest that lost its end is refused, though RocksDB takes it" (fun () ->
              use scratch = new Scratch()
              use environment = Store.environment StorageOptions.Default
              let directory = scratch.Path "table"
              let mutable manifest, early = "", 0L

              using (Store.openAt directory environment) (fun store ->
                  Store.put store "a" "1"
                  store.Flush()
                  manifest <- Directory.GetFiles(directory, "MANIFEST*") |> Array.exactlyOne
                  early <- FileInfo(manifest).Length
                  Store.put store "a" "2"
                  store.Flush())

              use stream = File.OpenWrite manifest
              Expect.isGreaterThan stream.Length early "the second flush is at the end of the manifest"
              stream.SetLength early
              stream.Dispose()

              let refusal = Expect.throwsC (fun () -> Store.openAt directory environment |> ignore) id
              Expect.isTrue (refusal :? StorageCorruptionException) "corruption"
              Expect.stringContains refusal.Message "had been flushed" "by what was flushed") ]
