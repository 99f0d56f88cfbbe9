/// Session tokens: merging is the least upper bound, and the text says exactly what it was made of.
module SessionTokens

open System
open Expecto
open FsCheck.FSharp
open Regatta.Protocol.Sessions
open Regatta.Testing

let private histories = [| for n in 1..3 -> Guid(Array.init 16 (fun at -> byte (n * (at + 3)))) |]
let private names = [| "t"; "catalogue"; "a table with a long name"; "" |]
let private bytes (name: string) = Text.Encoding.UTF8.GetBytes name

/// What one call has noted: the table's name, and what was seen of it.
type private Seen = string * SeenTable

let private numbers =
    Gen.frequency [ 3, Gen.choose64 (0L, 3L); 1, Gen.elements [ 127L; 128L; 1L <<< 35; Int64.MaxValue - 1L; Int64.MaxValue ] ]

let private seen: FsCheck.Gen<Seen> =
    Gen.map3
        (fun name history (number, revision) -> name, SeenTable(history, number, revision))
        (Gen.elements names)
        (Gen.elements histories)
        (Gen.zip numbers numbers)

let private noted (calls: Seen list) =
    (SessionToken.Empty, calls)
    ||> List.fold (fun token (name, table) ->
        let table = table
        token.With(ReadOnlySpan(bytes name), &table))

let private parse (text: string) =
    match SessionToken.TryParse text with
    | true, NonNull token, _ -> Ok token
    | _, _, problem -> Error $"{problem}"

let private text (token: SessionToken) = token.ToString()
let private sessions = Gen.listOf seen
let private drop (calls: 'call list) = seq { for at in 0 .. calls.Length - 1 -> List.removeAt at calls }

let private dropFromTwo (one, other) =
    Seq.append (drop one |> Seq.map (fun one -> one, other)) (drop other |> Seq.map (fun other -> one, other))

/// The greatest (number, revision) of each history and name, which is what a token is.
let private meaning (calls: Seen list) =
    calls
    |> List.groupBy (fun (name, table) -> table.History, name)
    |> List.map (fun (key, all) -> key, all |> List.map (fun (_, table) -> table.Number, table.Revision) |> List.max)
    |> Map.ofList

/// Of numbers from 0 to 2^63-1.
let private varint (value: int64) =
    let rec go (left: int64) = if left > 0x7FL then byte (left &&& 0x7FL ||| 0x80L) :: go (left >>> 7) else [ byte left ]

    go value

/// A token's text, made by the documents.
let private written (histories: (Guid * (string * int64 * int64) list) list) =
    let table (name, number, revision) =
        Array.concat [ IO.Hashing.XxHash3.Hash(bytes name); Array.ofList (varint number); Array.ofList (varint revision) ]

    let history (id: Guid, tables) =
        Array.concat [ id.ToByteArray true; Array.ofList (varint (int64 (List.length tables))); tables |> List.map table |> Array.concat ]

    Array.append [| 1uy |] (histories |> List.map history |> Array.concat)

let private encoded (token: byte array) = Buffers.Text.Base64Url.EncodeToString token

/// Of sixty tables of one history, of 738 bytes and so many more, up to sixty.
let private sixty more = [ for number in 1..60 -> $"table-{number}", (if number <= more then 1L <<< 14 else 128L), 128L ]

/// Of 768 bytes, which are 1,024 characters: no longer one is read.
let private longest =
    let tables = sixty 30
    // A token's tables are in the order of their hashes.
    let hash (name, _, _) = IO.Hashing.XxHash3.HashToUInt64(bytes name)
    written [ histories[0], List.sortBy hash tables ]

let private exact =
    [ testCase "are read up to 1,024 characters, and no further" (fun () ->
          Expect.equal (encoded longest).Length SessionToken.MaxLength "the longest"
          Expect.isOk (parse (encoded longest)) "is read"
          Expect.equal (parse (encoded longest) |> Result.map text) (Ok(encoded longest)) "and written as it was"

          Expect.equal (parse (encoded longest + "AAAA")) (Error "it has 1028 characters, and a token has at most 1024") "a longer one")

      testCase "say exactly whether there is room, whatever it is for" (fun () ->
          let mutable token = SessionToken.Empty
          let random = Random Seed.current

          for number in 1..45 do
              let history = histories[number % 3]
              let value = random.GetItems([| 0L; 127L; 128L; 1L <<< 14; Int64.MaxValue |], 2)
              let seen = SeenTable(history, value[0], value[1])
              let before = token
              token <- token.With(ReadOnlySpan(bytes $"table-{number}"), &seen)
              let length = (text token).Length * 3 / 4
              Expect.equal (parse (text token) |> Result.map text) (Ok(text token)) "read"

              Expect.equal
                  (token.HasRoomFor(history, ReadOnlySpan(bytes $"table-{number}")))
                  (length + 18 <= 768)
                  $"for the greatest numbers of a table that is in it, at {length} bytes"

              Expect.equal
                  (token.HasRoomFor(history, ReadOnlySpan(bytes "another")))
                  (length + 51 <= 768)
                  $"for another table, at {length} bytes"

              Expect.isGreaterThan (text token).Length (text before).Length "it grows")

      testCase "say so at every length near the greatest" (fun () ->
          for more in 0..30 do
              let token = noted [ for name, number, revision in sixty more -> name, SeenTable(histories[0], number, revision) ]
              let room = 768 - (738 + more)
              Expect.equal (token.HasRoomFor(histories[0], ReadOnlySpan(bytes "table-1"))) (room >= 18) $"with {room} bytes left")

      testCase "that see nothing new stay what they are" (fun () ->
          let seen = SeenTable(histories[0], 3L, 9L)
          let earlier = SeenTable(histories[0], 3L, 8L)
          let token = noted [ "t", seen ]
          Expect.isTrue (obj.ReferenceEquals(token, token.With(ReadOnlySpan(bytes "t"), &seen))) "the same again"
          Expect.isTrue (obj.ReferenceEquals(token, token.With(ReadOnlySpan(bytes "t"), &earlier))) "something earlier"
          Expect.isTrue (obj.ReferenceEquals(token, token.Merge SessionToken.Empty)) "merged with one that begins"
          Expect.isTrue (obj.ReferenceEquals(token, SessionToken.Empty.Merge token)) "and the other way round"
          Expect.isTrue (obj.ReferenceEquals(token.Entry, token.Entry)) "as metadata")

      testCase "know a table by its own other history, not by another table's" (fun () ->
          let other (token: SessionToken) = Option.ofNullable (token.OtherHistory(histories[0], ReadOnlySpan(bytes "t")))
          let here, there = SeenTable(histories[0], 1L, 1L), SeenTable(histories[1], 1L, 1L)
          Expect.equal (other (noted [ "t", here; "catalogue", there ])) None "another table's"
          Expect.equal (other (noted [ "t", here; "t", there ])) (Some histories[1]) "its own"
          Expect.equal (other (noted [ "t", here ])) None "the one asked for")

      testCase "that were cut anywhere, or are no token, are refused" (fun () ->
          let whole = written [ histories[0], [ "t", 300L, 128L ] ]
          Expect.isOk (parse (encoded whole)) "as it was"
          let wasCut = Error "it was cut or changed"

          for length in 2 .. whole.Length - 1 do
              Expect.equal (parse (encoded (Array.truncate length whole)) |> Result.map text) wasCut $"{length} bytes of it"

          Expect.equal (parse (encoded (written [ histories[0], [] ])) |> Result.map text) wasCut "a history without tables"

          let numbered (number: byte list) = Array.concat [ Array.truncate 26 whole; Array.ofList number; [| 1uy |] ]

          Expect.isOk (parse (encoded (numbered [ yield! List.replicate 8 0xFFuy; 0x7Fuy ]))) "a number of nine bytes"
          Expect.equal (parse (encoded (numbered [ yield! List.replicate 9 0xFFuy; 0x01uy ])) |> Result.map text) wasCut "one of ten"
          Expect.equal (parse "A" |> Result.map text) (Error "it is not base64url") "half a byte"
          Expect.equal (parse "!" |> Result.map text) (Error "it is not base64url") "another letter"
          Expect.equal (parse "Ag" |> Result.map text) (Error "its version is 2, and this node reads version 1") "another version") ]

let private general =
    testList
        "session tokens"
        [ Property.test "say of each table the latest that was noted, in its text as well" 2000 sessions drop (fun calls ->
              let token = noted calls
              let read = parse (text token) |> Result.defaultWith failtest

              for history in histories do
                  for name in names do
                      let expected =
                          meaning calls
                          |> Map.tryFind (history, name)
                          |> Option.map (fun (number, revision) -> SeenTable(history, number, revision))

                      Expect.equal (Option.ofNullable (token.Find(history, ReadOnlySpan(bytes name)))) expected "the token"
                      Expect.equal (Option.ofNullable (read.Find(history, ReadOnlySpan(bytes name)))) expected "its text"

              Expect.equal (text read) (text token) "one text for one meaning")

          Property.test
              "merged, in whichever order and how often, have seen what both have seen"
              2000
              (Gen.zip sessions sessions)
              dropFromTwo
              (fun (one, other) ->
                  let a, b = noted one, noted other
                  let merged = text (a.Merge b)
                  Expect.equal merged (text (noted (one @ other))) "both"
                  Expect.equal merged (text (b.Merge a)) "the other way round"
                  Expect.equal merged (text (a.Merge(b).Merge(a).Merge(b))) "again")

          Property.test
              "whose text was cut, lengthened or changed are refused or are another token, and never harm"
              2000
              (Gen.zip sessions (Gen.zip (Gen.choose (0, 2000)) (Gen.choose (0, 3))))
              (fun _ -> Seq.empty)
              (fun (calls, (place, kind)) ->
                  let whole = text (noted calls)
                  let at = place % (whole.Length + 1)

                  let changed =
                      match kind with
                      | 0 -> whole.Substring(0, at)
                      | 1 -> whole.Insert(at, "A")
                      | 2 when at < whole.Length -> whole.Remove(at, 1).Insert(at, "z")
                      | _ -> whole.Insert(at, "\u00e9")

                  match parse changed with
                  | Ok token -> Expect.isTrue (text token = "" || (parse (text token) |> Result.isOk)) "a token"
                  | Error problem -> Expect.isNotEmpty problem "says why")

          testCase "have room for fifty tables within 1,024 characters, and say when there is no more" (fun () ->
              let mutable token = SessionToken.Empty
              let mutable tables = 0

              while token.HasRoomFor(histories[0], ReadOnlySpan(bytes $"table-{tables}")) do
                  let seen = SeenTable(histories[0], 1000L + int64 tables, 1_000_000L)
                  token <- token.With(ReadOnlySpan(bytes $"table-{tables}"), &seen)
                  tables <- tables + 1

              Expect.isGreaterThanOrEqual tables 50 "tables"
              // One of them may grow to anything.
              let greatest = SeenTable(histories[0], Int64.MaxValue, Int64.MaxValue)
              Expect.isTrue (token.HasRoomFor(histories[0], ReadOnlySpan(bytes "table-0"))) "a table that is in it"
              let token = token.With(ReadOnlySpan(bytes "table-0"), &greatest)
              Expect.isLessThanOrEqual (text token).Length SessionToken.MaxLength "its text"
              Expect.isOk (parse (text token)) "is read")

          testCase "of a table that is gone are replaced for that table alone" (fun () ->
              let token =
                  noted
                      [ "t", SeenTable(histories[0], 5L, 9L)
                        "t", SeenTable(histories[1], 2L, 3L)
                        "catalogue", SeenTable(histories[0], 0L, 7L) ]

              let instead = SeenTable(histories[2], 1L, 0L)
              let token = token.Instead(ReadOnlySpan(bytes "t"), &instead)
              Expect.equal (text token) (text (noted [ "t", instead; "catalogue", SeenTable(histories[0], 0L, 7L) ])) "the others stay"

              Expect.equal
                  (Option.ofNullable (token.OtherHistory(histories[0], ReadOnlySpan(bytes "t"))))
                  (Some histories[2])
                  "known as another history")

          testCase "are base64url of documented bytes" (fun () ->
              let token = noted [ "t", SeenTable(Guid "00112233-4455-6677-8899-aabbccddeeff", 3L, 300L) ]

              let expected =
                  Array.concat
                      [ [| 1uy |]
                        Convert.FromHexString "00112233445566778899aabbccddeeff"
                        [| 1uy |]
                        IO.Hashing.XxHash3.Hash(bytes "t")
                        [| 3uy; 0xACuy; 2uy |] ]

              Expect.equal (text token) (Buffers.Text.Base64Url.EncodeToString expected) "the text") ]

let tests = testList "sessions" [ general; testList "session tokens, exactly," exact ]
