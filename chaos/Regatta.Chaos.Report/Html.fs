namespace Regatta.Chaos.Report

open System.IO
open System.Net

/// A piece of a page. Text and attributes are escaped where they are written; only the report's own assets and its JSON go in as they are.
type internal Html =
    | Text of string
    | Element of name: string * attributes: (string * string) list * content: Html list
    | Asset of string

module internal Html =
    let private withoutEnd = set [ "meta" ]

    let rec write (page: TextWriter) html =
        match html with
        | Text text -> page.Write(WebUtility.HtmlEncode text)
        | Asset text -> page.Write text
        | Element(name, attributes, content) ->
            page.Write $"<{name}"

            for name, value in attributes do
                page.Write $" {name}=\"{WebUtility.HtmlEncode value}\""

            page.Write ">"
            content |> List.iter (write page)

            if not (withoutEnd.Contains name) then page.Write $"</{name}>"

    let element name attributes content = Element(name, attributes, content)

    /// An element with a class and nothing else.
    let classed name kind content = Element(name, [ "class", kind ], content)

    let plain name text = Element(name, [], [ Text text ])

    /// A table from its headings and its rows.
    let table kind (headings: string list) rows =
        let heading (text: string) = Element("th", [ "scope", "col" ], [ Text text ])

        classed "table" kind [ Element("thead", [], [ Element("tr", [], headings |> List.map heading) ]); Element("tbody", [], rows) ]
