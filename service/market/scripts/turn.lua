-- The order in which a game's events are applied, and the pools that they may decide.
--
-- From when an event is told until it is applied, the pools that it may decide are held: they take no predictions
-- and give none back, since those who place them may know what happened.

-- Whether an event is the first of those of its game that are not applied; true for '', which is no event.
local function has_its_turn(game, event)
    return event == '' or redis.call('ZRANGE', KEY_APPLY .. game, 0, 0)[1] == event
end

-- Does a command of sets for a pool with those of its game that an event of a kind may decide.
local function index(command, game, pool, decided_by, lapses)
    for _, what in ipairs({ decided_by or '', lapses or '' }) do
        if what ~= '' then
            redis.call(command, KEY_UNDECIDED .. game .. ':' .. cjson.decode(what).event, pool)
        end
    end
end

local function hold(game, event, pool)
    if redis.call('SADD', KEY_HELD .. game .. ':' .. event, pool) == 1 then
        redis.call('HINCRBY', KEY_POOL .. pool, 'held', 1)
    end
end

-- Holds the pools that an event of a kind may decide.
local function hold_decidable(game, event, kind, sequence)
    for _, pool in ipairs(redis.call('SMEMBERS', KEY_UNDECIDED .. game .. ':' .. kind)) do
        if tonumber(redis.call('HGET', KEY_POOL .. pool, 'since') or -1) < tonumber(sequence) then
            hold(game, event, pool)
        end
    end
end

-- Holds a new pool that events may decide which are told already and come after the one that opens it.
local function hold_new(game, pool, since, decided_by, lapses)
    local kinds = {}
    for _, what in ipairs({ decided_by, lapses }) do
        if what ~= '' then
            kinds[cjson.decode(what).event] = true
        end
    end
    if next(kinds) == nil then
        return
    end
    for _, event in ipairs(redis.call('ZRANGE', KEY_APPLY .. game, '(' .. since, '+inf', 'BYSCORE')) do
        local told = redis.call('HGET', KEY_SEEN .. game, event)
        if told and kinds[cjson.decode(told:match('^%S+ %S+ (.*)$')).kind] then
            hold(game, event, pool)
        end
    end
end

-- Lets go of what an event held: it is applied.
local function release(game, event)
    local held = KEY_HELD .. game .. ':' .. event
    for _, pool in ipairs(redis.call('SMEMBERS', held)) do
        redis.call('HINCRBY', KEY_POOL .. pool, 'held', -1)
    end
    redis.call('DEL', held)
end
