-- SPDX-License-Identifier: MIT
-- Binary trees are built, walked and dropped: nearly every instruction allocates. Prints the best ms of several runs.
local function tree(depth)
  if depth == 0 then return {} end
  return {tree(depth - 1), tree(depth - 1)}
end

local function nodes(t)
  return t[1] and 1 + nodes(t[1]) + nodes(t[2]) or 1
end

local best = math.huge
for _ = 1, 6 do
  local begin = os.clock()
  for _ = 1, 4 do
    assert(nodes(tree(12)) == 2 ^ 13 - 1)
  end
  best = math.min(best, os.clock() - begin)
end
print(1e3 * best)
