module Regatta.Node.Tests.TableNameTests

open Expecto
open FsCheck.FSharp
open Regatta.Node
open Regatta.Testing

let private isGood (name: string) = isNull (TableName.Problem name)

let tests =
    testList
        "table names"
        [ test "what the rule allows" {
              for name in [ "a"; "0"; "default"; "A.b_c-9"; System.String('x', 128) ] do
                  Expect.isTrue (isGood name) name
          }

          test "what the rule refuses" {
              for name in [ ""; ".a"; "_a"; "-a"; "a b"; "a/b"; "a\\b"; "a\n"; "\u00e4"; "\U0001F600"; System.String('x', 129) ] do
                  Expect.isFalse (isGood name) name
          }

          Property.test
              "a problem is told in printable characters, whatever the name"
              1000
              (Gen.listOf (Gen.choose (0, 0xffff)) |> Gen.map (fun codes -> System.String.Join("", codes |> List.map char)))
              (fun _ -> Seq.empty)
              (fun name ->
                  match TableName.Problem name with
                  | null -> ()
                  | problem -> Expect.all problem (fun letter -> letter >= ' ' && letter <= '~') "printable") ]
