namespace Regatta.Chaos

/// A node: its site, the leader site being number 0, and its number there, from 0 on.
[<Struct>]
type Place = { Site: int; Node: int }

module Place =
    let siteName site =
        match site with
        | 0 -> "leader"
        | 1 -> "follower"
        | other -> $"follower{other}"

    /// As people count: "leader-1" is the leader site's first node.
    let name place = $"{siteName place.Site}-{place.Node + 1}"

/// How many there are of everything.
type Shape =
    { Sites: int
      NodesPerSite: int }

    member shape.Of site = [ for node in 0 .. shape.NodesPerSite - 1 -> { Site = site; Node = node } ]
    member shape.Followers = [ 1 .. shape.Sites - 1 ]
    member shape.All = [ 0 .. shape.Sites - 1 ] |> List.collect shape.Of
