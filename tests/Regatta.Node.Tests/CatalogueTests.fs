module Regatta.Node.Tests.CatalogueTests

open System
open System.IO
open System.Text
open Expecto
open Regatta.Node

let private golden (name: string) = File.ReadAllText(Path.Combine(__SOURCE_DIRECTORY__, "golden", name)).TrimEnd()
let private moment = DateTimeOffset(2026, 11, 23, 6, 30, 0, TimeSpan.Zero)
let private decode (text: string) = CatalogueRecords.DecodeTable(ReadOnlySpan(Encoding.UTF8.GetBytes text))

let private refuses (text: string) (part: string) =
    let problem =
        try
            decode text |> ignore
            "nothing"
        with :? InvalidDataException as e ->
            e.Message

    Expect.stringContains problem part $"what is said of {text}"

let tests =
    testList
        "the catalogue's stored format"
        [ test "a table's record is the golden one" {
              let text = Encoding.UTF8.GetString(CatalogueRecords.Encode(TableRecord(1, "default", moment)))
              Expect.equal text (golden "table-record.json") "as written since format 1"
          }

          test "a tombstone is the golden one" {
              let text = Encoding.UTF8.GetString(CatalogueRecords.Encode(TombstoneRecord(1, "default", 10001L, moment)))
              Expect.equal text (golden "tombstone-record.json") "as written since format 1"
          }

          test "the golden record is read back" {
              Expect.equal (decode (golden "table-record.json")) (TableRecord(1, "default", moment)) "the same"
          }

          test "a record of a newer version, or none at all, is refused and never guessed at" {
              refuses ((golden "table-record.json").Replace("\"format\":1", "\"format\":2")) "format 2"
              refuses "{}" "cannot be read"
              refuses "" "cannot be read"
              refuses "\u0000\u0001" "cannot be read"
          }

          test "keys are as they were" {
              let text (key: byte array) = Encoding.UTF8.GetString key
              Expect.equal (text (CatalogueKeys.Table "a.b")) "table/a.b" "a table's key"
              Expect.equal (text (CatalogueKeys.Tombstone 10042L)) "tombstone/10042" "a tombstone's key"
              Expect.equal (CatalogueKeys.GroupOf 42L) 10042L "the group of the table that revision 42 made"
          } ]
