module Regatta.Spec.Tests.BytesTests

open Expecto
open FsCheck.FSharp
open Regatta.Spec
open Regatta.Spec.Tests.Build
open Regatta.Testing

/// The order of byte strings, said once more in the plainest way.
let rec private plainly (a: byte list) (b: byte list) =
    match a, b with
    | [], [] -> 0
    | [], _ -> -1
    | _, [] -> 1
    | x :: _, y :: _ when x <> y -> if int x < int y then -1 else 1
    | _ :: a, _ :: b -> plainly a b

let private twoStrings =
    let one =
        Gen.oneof
            [ Generate.key
              Generate.value
              Gen.listOf (Gen.elements [ 0uy; 1uy; 0x7fuy; 0x80uy; 0xffuy ]) |> Gen.map (Array.ofList >> Bytes.OfArray) ]

    Gen.two one

let tests =
    testList
        "byte strings"
        [ testCase "are ordered as unsigned bytes, a prefix first" (fun () ->
              let ordered =
                  [ raw []
                    raw [ 0 ]
                    raw [ 0; 0 ]
                    raw [ 1 ]
                    raw [ 0x7f ]
                    raw [ 0x7f; 0xff ]
                    raw [ 0x80 ]
                    raw [ 0xff ]
                    raw [ 0xff; 0 ] ]

              Expect.equal (List.sort (List.rev ordered)) ordered "sorted"
              Expect.equal (ordered |> List.map (fun key -> key, ()) |> Map.ofList |> Map.keys |> List.ofSeq) ordered "as keys of a map")

          Property.test
              "compare as the plain definition does, and are equal exactly when they compare as equal"
              2_000
              twoStrings
              (fun _ -> Seq.empty)
              (fun (a, b) ->
                  let expected = plainly (List.ofArray (a.ToArray())) (List.ofArray (b.ToArray()))
                  Expect.equal (sign (compare a b)) expected "the order"
                  Expect.equal (a = b) (expected = 0) "equality"
                  Expect.isTrue (a <> b || hash a = hash b) "equal strings have equal hashes")

          testCase "do not change when the array they came from does" (fun () ->
              let array = [| 1uy |]
              let bytes = Bytes.OfArray array
              array[0] <- 2uy
              bytes.ToArray()[0] <- 3uy
              Expect.equal bytes (raw [ 1 ]) "the byte string")

          testCase "print so that a counterexample can be read" (fun () ->
              Expect.equal (sprintf "%A" (raw [ 0x61; 0; 0xff; 0x5c ])) @"'a\x00\xff\x5c'" "a short one"
              Expect.equal (string (Bytes.Repeat(0x61uy, 1024))) "'a'*1024" "one byte repeated"
              Expect.equal (string (b "0123456789012345678901234567890123456789")) "'012345678901234567890123...'[40 bytes]" "a long one") ]
