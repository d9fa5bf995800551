-- A response is a list of messages, as a prompt is; messages have reasoning and calls of tools, parts a MIME type.
ALTER TABLE prompts ADD COLUMN messages.element.content.element.mime_type VARCHAR;
ALTER TABLE prompts ADD COLUMN messages.element.reasoning VARCHAR;
ALTER TABLE prompts ADD COLUMN messages.element.tool_calls STRUCT(id VARCHAR, "name" VARCHAR, arguments VARCHAR)[];
ALTER TABLE prompts ADD COLUMN messages.element.tool_call_id VARCHAR;
ALTER TABLE prompts ADD COLUMN messages.element."name" VARCHAR;
ALTER TABLE prompts ADD COLUMN messages.element.is_target BOOLEAN;
ALTER TABLE prompts ADD COLUMN tools VARCHAR;
ALTER TABLE responses ADD COLUMN messages STRUCT(
    "role" VARCHAR,
    content STRUCT("type" VARCHAR, "text" VARCHAR, uri VARCHAR, sha256 VARCHAR, mime_type VARCHAR)[],
    reasoning VARCHAR,
    tool_calls STRUCT(id VARCHAR, "name" VARCHAR, arguments VARCHAR)[],
    tool_call_id VARCHAR, "name" VARCHAR, is_target BOOLEAN
)[];
UPDATE responses SET messages = [{
    'role': 'assistant',
    'content': list_transform(content, lambda part: {
        'type': part."type", 'text': part."text", 'uri': part.uri, 'sha256': part.sha256, 'mime_type': NULL::VARCHAR
    }),
    'reasoning': NULL::VARCHAR, 'tool_calls': [], 'tool_call_id': NULL::VARCHAR, 'name': NULL::VARCHAR,
    'is_target': NULL::BOOLEAN
}];
ALTER TABLE responses DROP COLUMN content;
