/// What a table's machine remembers of the keys that it has put.
module Regatta.Core.Tests.RecentTests

open System
open System.Collections.Generic
open System.Text
open Expecto
open Regatta.Core
open Regatta.Core.Tests.Build
open Regatta.Testing

let private header number = RecordHeader(number, number, 1L)
let private utf8 (key: string) = Encoding.UTF8.GetBytes key

let private find (recent: RecentHeaders) (key: string) =
    let mutable found = RecordHeader()
    if recent.TryGet(ReadOnlySpan(utf8 key), &found) then Some found else None

let private put (recent: RecentHeaders) (key: string) (number: int64) =
    let written = header number
    recent.Put(ReadOnlySpan(utf8 key), &written)

let tests =
    testList
        "Recent headers"
        [ testCase "what was put last is there, and what is there is what was put last"
          <| fun () ->
              let random = Random Seed.current
              let recent = RecentHeaders()
              let stored = Dictionary<string, int64>()

              for step in 1L .. 100_000L do
                  // Few keys and many: growing, full, and pushing out.
                  let key = $"key{random.Next(1 <<< random.Next 14)}"

                  match random.Next 10 with
                  | 0 ->
                      recent.Remove(ReadOnlySpan(utf8 key))
                      stored.Remove key |> ignore
                      Expect.isNone (find recent key) $"step {step}, seed {Seed.current}: {key} was removed"
                  | 1 when random.Next 5_000 = 0 ->
                      recent.Clear()
                      stored.Clear()
                  | 1
                  | 2 ->
                      match find recent key, stored.TryGetValue key with
                      | Some found, (true, number) -> Expect.equal found (header number) $"step {step}, seed {Seed.current}: {key}"
                      | Some found, _ -> failtest $"step {step}, seed {Seed.current}: {key} does not exist, and is remembered as {found}"
                      | None, _ -> ()
                  | _ ->
                      put recent key step
                      stored[key] <- step
                      Expect.equal (find recent key) (Some(header step)) $"step {step}, seed {Seed.current}: {key} was put"

          testCase "whatever its place, a key that was put twice and removed once is gone"
          <| fun () ->
              for number in 1..1_000 do
                  let recent = RecentHeaders()
                  put recent $"key{number}" 1L
                  put recent $"key{number}" 2L
                  recent.Remove(ReadOnlySpan(utf8 $"key{number}"))
                  Expect.isNone (find recent $"key{number}") $"key{number}"

          testCase "a thousand keys that are put again and again are nearly all there"
          <| fun () ->
              let recent = RecentHeaders()

              for _ in 1..3 do
                  for key in 1..1000 do
                      put recent $"key{key}" (int64 key)

              let there = List.sumBy (fun key -> if (find recent $"key{key}").IsSome then 1 else 0) [ 1..1000 ]
              Expect.isGreaterThan there 850 "of 1000"

          testCase "long keys are not kept"
          <| fun () ->
              let recent = RecentHeaders()
              put recent (String('k', 128)) 1L
              put recent (String('k', 129)) 1L
              Expect.isSome (find recent (String('k', 128))) "128 bytes"
              Expect.isNone (find recent (String('k', 129))) "129 bytes"

          testCase "a key that was deleted, alone or with its neighbours, begins anew"
          <| fun () ->
              for range in [ single "b"; interval "a" "c"; everything ] do
                  let table = TableUnderTest()
                  table.Apply [ Build.put "a" "value"; Build.put "b" "value" ] |> ignore
                  table.One(Build.put "b" "value") |> ignore
                  table.One(delete range) |> ignore
                  table.One(Build.put "b" "value") |> ignore
                  let _, numbers, _ = table.Content |> List.find (fun (key, _, _) -> key = "b")
                  Expect.equal numbers (5L, 5L, 1L) $"after {range}" ]
